// Package journal keeps on disk what an attachment does to a guest, so that
// another process can undo it.
//
//	w, err := journal.Create(path, journal.Begin{Spec: "unix:/run/vm.gdb", ...})
//	err = w.Append(journal.Insert{Break: journal.Break{Addr: 0x101350, Len: 1, Orig: []byte{0x55}}})
//	... only now the breakpoint is sent to the stub
//
//	st, err := journal.Load(path) // in the guard, or in "ukdbg recover"
//
// A record is one write(2) before the change it tells of is sent: what is in
// the journal may not have happened, what happened is in the journal. It
// survives the death of the process, not that of the host, with which the guest
// dies too. A nil *Writer keeps nothing.
//
// The file is folded into its last state when it grows past a limit, so that
// hours of stepping leave it small.
//
// # Format
//
// The file begins with the 16 bytes of Magic. A record is, little-endian:
//
//	u32 size     of kind and payload in bytes, 1 to 65536
//	u32 sum      CRC-32C of kind and payload
//	u8  kind
//	    payload  unsigned LEB128 numbers; texts as their length and bytes
//
// A reader stops at the first record that is cut short or whose sum is wrong:
// that is the write that death interrupted. Kinds it does not know it skips.
package journal
