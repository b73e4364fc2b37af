package target

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// Memory reads the guest's memory. It returns how many bytes it read from the
// start of the range; fewer than len(p) always comes with an error. A hole is a
// *FaultError, a lost link is an error that errors.Is(err, ErrLost).
type Memory interface {
	ReadMemory(ctx context.Context, p []byte, addr uint64) (n int, err error)
}

// Range is one read of a ReadMany: Data is filled from Addr. N and Err are the
// result, as ReadMemory returns them.
type Range struct {
	Addr uint64
	Data []byte
	N    int
	Err  error
}

// ManyReader is the optional power to read many ranges in one go, which makes a
// list walk over a slow stub cheap. The error returned is that of the link;
// each range carries its own.
type ManyReader interface {
	ReadMany(ctx context.Context, r []Range) error
}

// MemoryWriter is the optional power to change memory.
type MemoryWriter interface {
	WriteMemory(ctx context.Context, p []byte, addr uint64) error
}

// PhysicalMemory is the optional power to read by physical address.
type PhysicalMemory interface {
	Physical() Memory
}

// ErrLost says that the link to the guest is gone and every later call fails.
var ErrLost = errors.New("target lost")

// ErrLapsed says that the guest was let run before all was done, because its stop
// had lasted as long as it may. What was read before is good.
var ErrLapsed = errors.New("the guest was let run: its stop had lasted as long as it may")

// ErrUnsupported says that a source lacks a power it was asked for.
var ErrUnsupported = errors.New("not supported by this target")

// FaultError says that the guest has no readable memory at Addr.
type FaultError struct {
	// Addr is the first address that could not be read or written.
	Addr uint64
	// Why is what the source said, "" if it gave no reason.
	Why string
	// LeftOut: the guest had it there, and who wrote the dump left it out.
	LeftOut bool
}

func (e *FaultError) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("unreadable at %#x", e.Addr)
	}
	return fmt.Sprintf("unreadable at %#x: %s", e.Addr, e.Why)
}

// ReadFull reads len(p) bytes at addr or fails.
func ReadFull(ctx context.Context, m Memory, p []byte, addr uint64) error {
	n, err := m.ReadMemory(ctx, p, addr)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = &FaultError{Addr: addr + uint64(n)}
	}
	return err
}

// ReadUint reads a little-endian unsigned integer of 1, 2, 4 or 8 bytes.
func ReadUint(ctx context.Context, m Memory, addr uint64, size int) (uint64, error) {
	var b [8]byte
	if size != 1 && size != 2 && size != 4 && size != 8 {
		return 0, fmt.Errorf("read of a %d-byte integer at %#x: size is not 1, 2, 4 or 8", size, addr)
	}
	if err := ReadFull(ctx, m, b[:size], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// ReadCString reads bytes up to a NUL, at most limit bytes. A string that
// reaches the limit, or unreadable memory, is returned as far as it was read
// with ok false.
func ReadCString(ctx context.Context, m Memory, addr uint64, limit int) (s []byte, ok bool, err error) {
	const step = 64
	for len(s) < limit {
		// Never read past the 64-byte line the terminator may be in: the next
		// page may be a hole.
		n := min(step-int(addr%step), limit-len(s))
		buf := make([]byte, n)
		got, rerr := m.ReadMemory(ctx, buf, addr)
		for i, c := range buf[:got] {
			if c == 0 {
				return append(s, buf[:i]...), true, nil
			}
		}
		s = append(s, buf[:got]...)
		if rerr != nil {
			return s, false, rerr
		}
		addr += uint64(n)
	}
	return s, false, nil
}

// ReadMany reads many ranges, in one go if m can. The error is that of the
// link; each range carries its own.
func ReadMany(ctx context.Context, m Memory, r []Range) error {
	if mr, ok := m.(ManyReader); ok {
		return mr.ReadMany(ctx, r)
	}
	for i := range r {
		r[i].N, r[i].Err = m.ReadMemory(ctx, r[i].Data, r[i].Addr)
		if r[i].N == len(r[i].Data) {
			r[i].Err = nil
		}
		if errors.Is(r[i].Err, ErrLost) {
			return r[i].Err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
