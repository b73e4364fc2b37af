package shadow

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// Granule is how many bytes one shadow byte tells of.
const Granule = 8

// Map is where a guest's shadow lies.
type Map struct {
	Flavour *Flavour
	// Offset: the shadow of a is at Offset + a/8, wrapping around.
	Offset uint64
	// First and Last are the addresses that are watched, both inclusive.
	First, Last uint64
}

// Covers reports whether an address is watched.
func (m *Map) Covers(addr uint64) bool { return addr >= m.First && addr <= m.Last }

// Of returns the address of the shadow byte of an address.
func (m *Map) Of(addr uint64) uint64 { return m.Offset + addr>>3 }

// Finding is what the shadow says of an access.
type Finding struct {
	// Addr is the first byte that may not be used, Code the shadow byte that
	// says so.
	Addr uint64
	Code byte
	// Text is the code's meaning; a partial granule has that of the redzone
	// behind it, in Behind.
	Text   string
	Behind string
	// Sub is the kind of fault.
	Sub string
}

// maxAccess bounds the accesses that are checked, in bytes.
const maxAccess = 1 << 20

// Check tells whether size bytes at addr may be used. ok is true if they may, or
// are not watched. The error is that of reading the shadow.
func (m *Map) Check(ctx context.Context, mem target.Memory, addr, size uint64) (f Finding, ok bool, err error) {
	if size == 0 || size > maxAccess || !m.Covers(addr) || !m.Covers(addr+size-1) || addr+size-1 < addr {
		return Finding{}, true, nil
	}
	from, to := m.Of(addr), m.Of(addr+size-1)
	b := make([]byte, to-from+1)
	if err := target.ReadFull(ctx, mem, b, from); err != nil {
		return Finding{}, false, fmt.Errorf("shadow of %#x at %#x: %w", addr, from, err)
	}
	for i, code := range b {
		if code == 0 {
			continue
		}
		start := addr &^ (Granule - 1)
		start += uint64(i) * Granule
		first := max(addr, start)
		last := min(addr+size-1, start+Granule-1)
		if code < Granule {
			if last-start < uint64(code) {
				continue
			}
			first = max(first, start+uint64(code))
		}
		f = Finding{Addr: first, Code: code}
		f.Text, f.Sub = m.Flavour.Describe(code)
		if code < Granule {
			next := make([]byte, 1)
			if m.Covers(start+Granule) && target.ReadFull(ctx, mem, next, m.Of(start+Granule)) == nil && next[0] >= 0x80 {
				var sub string
				if f.Behind, sub = m.Flavour.Describe(next[0]); sub != "" {
					f.Sub = sub
				}
			}
		}
		return f, false, nil
	}
	return Finding{}, true, nil
}

// Run is a run of memory with one meaning.
type Run struct {
	// Addr and Size are its own, in bytes of memory.
	Addr, Size uint64
}

// maxRun bounds how far a run is followed, in shadow bytes each way.
const maxRun = 64 << 10

// Good returns the run of usable memory that ends at or right before addr, or
// that begins behind it: the object an access missed. before tells which. ok is
// false if neither lies within reach bytes.
func (m *Map) Good(ctx context.Context, mem target.Memory, addr, reach uint64) (r Run, before, ok bool) {
	at := addr &^ (Granule - 1)
	for d := uint64(0); d <= reach; d += Granule {
		if at >= d+m.First {
			if r, ok := m.endingAt(ctx, mem, at-d); ok {
				return r, true, true
			}
		}
		if b, err := m.byteAt(ctx, mem, at+d); d > 0 && err == nil && b < 0x80 {
			return m.startingAt(ctx, mem, at+d), false, true
		}
	}
	return Run{}, false, false
}

func (m *Map) byteAt(ctx context.Context, mem target.Memory, addr uint64) (byte, error) {
	b := make([]byte, 1)
	if !m.Covers(addr) {
		return 0, &target.FaultError{Addr: addr, Why: "not watched by the sanitizer"}
	}
	err := target.ReadFull(ctx, mem, b, m.Of(addr))
	return b[0], err
}

// endingAt is the run whose last granule is the one at addr.
func (m *Map) endingAt(ctx context.Context, mem target.Memory, addr uint64) (Run, bool) {
	last, err := m.byteAt(ctx, mem, addr)
	if err != nil || last >= 0x80 {
		return Run{}, false
	}
	size := uint64(Granule)
	if last != 0 {
		size = uint64(last)
	}
	start := addr
	for n := 0; n < maxRun; n++ {
		if start < m.First+Granule {
			break
		}
		b, err := m.byteAt(ctx, mem, start-Granule)
		if err != nil || b != 0 {
			break
		}
		start -= Granule
		size += Granule
	}
	return Run{start, size}, true
}

// startingAt is the run whose first granule is the one at addr.
func (m *Map) startingAt(ctx context.Context, mem target.Memory, addr uint64) Run {
	r := Run{Addr: addr}
	for n := 0; n < maxRun; n++ {
		b, err := m.byteAt(ctx, mem, addr+r.Size)
		if err != nil || b >= 0x80 {
			break
		}
		if b != 0 {
			r.Size += uint64(b)
			break
		}
		r.Size += Granule
	}
	return r
}

// Same returns the run of granules around addr that have its very shadow byte.
func (m *Map) Same(ctx context.Context, mem target.Memory, addr uint64) (Run, bool) {
	at := addr &^ (Granule - 1)
	code, err := m.byteAt(ctx, mem, at)
	if err != nil {
		return Run{}, false
	}
	r := Run{Addr: at, Size: Granule}
	same := func(a uint64) bool {
		b, err := m.byteAt(ctx, mem, a)
		return err == nil && b == code
	}
	for n := 0; n < maxRun && r.Addr >= Granule && same(r.Addr-Granule); n++ {
		r.Addr -= Granule
		r.Size += Granule
	}
	for n := 0; n < maxRun && same(r.Addr+r.Size); n++ {
		r.Size += Granule
	}
	return r, true
}
