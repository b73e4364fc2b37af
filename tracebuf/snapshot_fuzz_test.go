package tracebuf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/target"
)

// FuzzSnapshot: whatever the guest's pointers say, and become while the buffer is read,
// what is read lies in the buffer. at and then are the pointers before and from the read
// number when on, size is what the image says of the buffer's length.
func FuzzSnapshot(f *testing.F) {
	const room = 256
	buffer := uint64(testBase + 16)
	f.Add(buffer+40, buffer+40, uint64(216), uint64(room), uint8(9), uint8(0))
	f.Add(buffer+40, buffer+8, uint64(216), uint64(room), uint8(1), uint8(40)) // reset meanwhile
	f.Add(buffer+room+7, buffer, uint64(1<<63), uint64(room), uint8(2), uint8(200))
	f.Add(uint64(0), ^uint64(0), uint64(0), uint64(1<<62), uint8(1), uint8(255))
	f.Add(buffer+200, buffer+100, uint64(3), uint64(room), uint8(1), uint8(150))
	f.Fuzz(func(t *testing.T, at, then, free, size uint64, when, known uint8) {
		m, loc := newGuest(nil, room)
		for i := range room {
			m.data[16+i] = byte(i)
		}
		loc.Size = size
		put := func(writep uint64) {
			binary.LittleEndian.PutUint64(m.data, writep)
			binary.LittleEndian.PutUint64(m.data[8:], free)
		}
		put(at)
		m.step = func(n int) {
			if n == int(when) {
				put(then)
			}
		}
		check := func(s *Snapshot, err error) {
			t.Helper()
			var fault *target.FaultError
			var pointer *PointerError
			switch {
			case err == nil:
				if n := uint64(len(s.Data)); n > size || n > room || s.Info.Used != n || s.Info.Size != size || !bytes.Equal(s.Data, m.data[16:][:n]) {
					t.Fatalf("%d bytes, %+v", n, s.Info)
				}
			case size == 0 || size > MaxBuffer || errors.As(err, &fault) || errors.As(err, &pointer):
			default:
				t.Fatalf("%v", err)
			}
		}
		check(Read(t.Context(), m, loc))
		if size < 1<<20 {
			put(at)
			m.n = 0
			check(ReadAfter(t.Context(), m, loc, bytes.Clone(m.data[16:][:min(int(known), int(size))])))
		}
	})
}
