// Package ring reads the per-CPU trace rings of uktrace, the companion that an
// application may build into its image (guest/uktrace), without ever stopping
// the guest.
//
// The rings are found by the symbol uktrace and trusted only if magic, version,
// checksum and the layout in the image's DWARF agree. A writer never waits for a
// reader: what a slow reader did not fetch in time is overwritten, which it sees
// and counts by the records' sequence numbers.
//
//	rings, err := ring.Open(ctx, mem, img, slide)
//	rd := rings.NewReader(defs, slide, ring.Options{})
//	for {
//		err := rd.Poll(ctx, func(r *ring.Record) error {
//			// r.Lost records of this CPU are missing just before this one
//			return nil
//		})
//		// wait a little: a ring of 256 KiB holds about 3,000 records
//	}
//
// Memory must be readable while the guest runs (its RAM seen from the host), and
// must not remember what was read: a Poll reads how far the guest wrote once more
// after the records, to leave out what was overwritten meanwhile. Over a link that
// can only read a stopped guest, a Poll sees one moment of it.
//
// All that is read is hostile; nothing here panics or allocates beyond a small
// multiple of the rings' size, which is limited.
//
// Format: guest/uktrace/include/uktrace/format.h, version 1.
package ring
