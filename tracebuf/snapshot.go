package tracebuf

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// MaxBuffer bounds the size of a trace buffer in bytes; Unikraft's default is
// 16 KiB.
const MaxBuffer = 256 << 20

// Location says where the trace buffer is in the guest: run-time addresses.
type Location struct {
	// Buffer is the address of uk_trace_buffer, Size its length in bytes.
	Buffer, Size uint64
	// Writep and Free are the addresses of the variables
	// uk_trace_buffer_writep and uk_trace_buffer_free.
	Writep, Free uint64
}

// Info says how full a trace buffer is.
type Info struct {
	// Used and Size are bytes; Used ends at the write pointer.
	Used, Size uint64
	// Free is the guest's own count, which is no measure of what is left once
	// the buffer is full.
	Free uint64
	// Full: nothing more is recorded. Events since then are lost, how many is
	// not known.
	Full bool
	// Overrun: the write pointer is past the end; this release of Unikraft does
	// not check for a full buffer and wrote over what follows it.
	Overrun bool
	// Torn: the guest recorded or reset while the buffer was read, so that the
	// end of the data may be bad. It does not happen to a stopped guest.
	Torn bool
}

// Snapshot is the contents of a trace buffer at one moment.
type Snapshot struct {
	// Data is [buffer, writep).
	Data []byte
	Info Info
}

// PointerError says that the guest's write pointer points nowhere near the
// buffer: not yet initialised, overwritten, or the image is another one.
type PointerError struct {
	Writep   uint64
	Location Location
}

func (e *PointerError) Error() string {
	return fmt.Sprintf("trace buffer: uk_trace_buffer_writep is %#x, outside the buffer at %#x with %d bytes; "+
		"the guest has not reached its C code, its memory is overwritten, or the image is another one",
		e.Writep, e.Location.Buffer, e.Location.Size)
}

// readTries is how often a buffer that was reset under our hands is read again.
const readTries = 3

// Read takes a snapshot of the trace buffer in two round trips. It reads the
// pointers before and after the data, so that a guest which runs meanwhile is
// noticed.
func Read(ctx context.Context, mem target.Memory, loc Location) (*Snapshot, error) {
	if loc.Size == 0 || loc.Size > MaxBuffer {
		return nil, fmt.Errorf("trace buffer: size %d is not from 1 to %d bytes; is uk_trace_buffer an array in this image?", loc.Size, MaxBuffer)
	}
	var s *Snapshot
	for range readTries {
		before, err := readPointers(ctx, mem, loc)
		if err != nil {
			return nil, err
		}
		var after pointers
		if s, after, err = readData(ctx, mem, loc, before); err != nil {
			return nil, err
		}
		if after == before {
			return s, nil
		}
		s.Info.Torn = true
		if after.writep >= before.writep {
			// It only grew: what was there before is whole, but for the last
			// record if it was just being finished.
			return s, nil
		}
	}
	return s, nil
}

// ReadAfter takes a snapshot of a buffer whose beginning is known: it reads what
// was written behind known since. The guest must be stopped, and nobody may have
// reset the buffer.
func ReadAfter(ctx context.Context, mem target.Memory, loc Location, known []byte) (*Snapshot, error) {
	at, err := readPointers(ctx, mem, loc)
	if err != nil {
		return nil, err
	}
	n := uint64(len(known))
	if used := at.writep - loc.Buffer; n == 0 || at.writep < loc.Buffer || used > loc.Size || used < n {
		return Read(ctx, mem, loc)
	}
	rest := Location{Buffer: loc.Buffer + n, Size: loc.Size - n, Writep: loc.Writep, Free: loc.Free}
	s, _, err := readData(ctx, mem, rest, at)
	if err != nil {
		return nil, err
	}
	s.Data = append(known, s.Data...)
	s.Info.Used, s.Info.Size = uint64(len(s.Data)), loc.Size
	s.Info.Full = s.Info.Overrun || at.free < recordHeader || at.free > loc.Size
	return s, nil
}

type pointers struct{ writep, free uint64 }

func (p *pointers) ranges(loc Location, buf *[16]byte) []target.Range {
	return []target.Range{{Addr: loc.Writep, Data: buf[:8]}, {Addr: loc.Free, Data: buf[8:]}}
}

func (p *pointers) set(buf *[16]byte) {
	p.writep = binary.LittleEndian.Uint64(buf[:])
	p.free = binary.LittleEndian.Uint64(buf[8:])
}

func readPointers(ctx context.Context, mem target.Memory, loc Location) (p pointers, err error) {
	var buf [16]byte
	if err := readAll(ctx, mem, p.ranges(loc, &buf)); err != nil {
		return p, fmt.Errorf("trace buffer pointers: %w", err)
	}
	p.set(&buf)
	return p, nil
}

func readData(ctx context.Context, mem target.Memory, loc Location, at pointers) (*Snapshot, pointers, error) {
	used := at.writep - loc.Buffer
	overrun := at.writep > loc.Buffer && used > loc.Size && used-loc.Size < 1<<20
	switch {
	case overrun:
		used = loc.Size
	case at.writep < loc.Buffer || used > loc.Size:
		return nil, at, &PointerError{Writep: at.writep, Location: loc}
	}
	s := &Snapshot{
		Data: make([]byte, used),
		Info: Info{
			Used: used, Size: loc.Size, Free: at.free, Overrun: overrun,
			// Free is below a header when full; it wraps where it is not checked.
			Full: overrun || at.free < recordHeader || at.free > loc.Size,
		},
	}
	var after pointers
	var buf [16]byte
	var r []target.Range
	if used > 0 {
		r = append(r, target.Range{Addr: loc.Buffer, Data: s.Data})
	}
	if err := readAll(ctx, mem, append(r, after.ranges(loc, &buf)...)); err != nil {
		return nil, at, fmt.Errorf("trace buffer: %w", err)
	}
	after.set(&buf)
	return s, after, nil
}

// readAll reads every range in full or fails with the first one's error.
func readAll(ctx context.Context, mem target.Memory, r []target.Range) error {
	if err := target.ReadMany(ctx, mem, r); err != nil {
		return err
	}
	for i := range r {
		if r[i].N == len(r[i].Data) {
			continue
		}
		if r[i].Err != nil {
			return r[i].Err
		}
		return &target.FaultError{Addr: r[i].Addr + uint64(r[i].N)}
	}
	return nil
}
