package ukdbg

import (
	"bytes"
	"context"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// viewPage is the unit in which a running guest is read, in bytes.
const viewPage = 4096

// maxView bounds the pages remembered of one moment: 64 MiB.
const maxView = 16 << 10

// view is the memory of a guest that runs while it is read. It remembers what
// was read, like a cache, and reads each page twice: bytes that are the same
// both times stood still between the two readings. When all that was used stood
// still while everything was read once more, what was used is the guest's memory
// at one moment. What did not is torn.
type view struct {
	mem   target.Memory
	pages map[uint64]*seenPage // by address / viewPage

	torn   int  // ranges used of which a byte changed between the two readings
	small  bool // all that was used so far is one small range
	used   int  // ranges used
	missed bool // a page had to be read that was not in the last reading
}

// seenPage is a page as it was read twice.
type seenPage struct {
	first, again []byte // short where a hole begins
	err          error  // why it is short
}

func newView(mem target.Memory) *view { return &view{mem: mem, pages: map[uint64]*seenPage{}} }

func (v *view) forget() {
	clear(v.pages)
	v.begin()
}

// begin starts the account of what is used.
func (v *view) begin() { v.torn, v.used, v.small, v.missed = 0, 0, true, false }

// steady reports whether all that was used since begin was read at one moment.
// One word is always: the guest writes it at once.
func (v *view) steady() bool { return v.torn == 0 || v.used == 1 && v.small }

// fetch reads pages twice, one batch after the other.
func (v *view) fetch(ctx context.Context, pages []uint64) error {
	read := func() ([]target.Range, error) {
		buf := make([]byte, len(pages)*viewPage)
		r := make([]target.Range, len(pages))
		for i, p := range pages {
			r[i] = target.Range{Addr: p * viewPage, Data: buf[i*viewPage : (i+1)*viewPage : (i+1)*viewPage]}
		}
		return r, target.ReadMany(ctx, v.mem, r)
	}
	first, err := read()
	if err != nil {
		return err
	}
	again, err := read()
	if err != nil {
		return err
	}
	for i, p := range pages {
		v.pages[p] = &seenPage{first: first[i].Data[:first[i].N], again: again[i].Data[:again[i].N], err: first[i].Err}
	}
	return nil
}

// refresh reads all pages known so far again, close together.
func (v *view) refresh(ctx context.Context) error {
	if len(v.pages) > maxView {
		v.forget()
		return nil
	}
	pages := make([]uint64, 0, len(v.pages))
	for p := range v.pages {
		pages = append(pages, p)
	}
	slices.Sort(pages)
	return v.fetch(ctx, pages)
}

// kept reports whether a range is small enough to be remembered and does not
// wrap at the top of the address space.
func kept(addr uint64, n int) bool {
	return n > 0 && n <= 64*viewPage && addr+uint64(n-1) >= addr
}

func (v *view) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	r := []target.Range{{Addr: addr, Data: p}}
	err := v.ReadMany(ctx, r)
	if err == nil {
		err = r[0].Err
	}
	return r[0].N, err
}

func (v *view) ReadMany(ctx context.Context, ranges []target.Range) error {
	var want []uint64
	var long []target.Range
	asked := map[uint64]bool{}
	for _, r := range ranges {
		if !kept(r.Addr, len(r.Data)) {
			long = append(long, target.Range{Addr: r.Addr, Data: r.Data})
			continue
		}
		for p := r.Addr / viewPage; p <= (r.Addr+uint64(len(r.Data)-1))/viewPage; p++ {
			if v.pages[p] == nil && !asked[p] {
				asked[p] = true
				want = append(want, p)
			}
		}
	}
	if len(want) > 0 {
		v.missed = true
		if err := v.fetch(ctx, want); err != nil {
			return err
		}
	}
	if len(long) > 0 {
		// Long reads (a trace buffer) have checks of their own.
		if err := target.ReadMany(ctx, v.mem, long); err != nil {
			return err
		}
	}
	for i := range ranges {
		r := &ranges[i]
		if kept(r.Addr, len(r.Data)) {
			r.N, r.Err = v.copyOut(r.Data, r.Addr)
			v.account(r)
			continue
		}
		r.N, r.Err = long[0].N, long[0].Err
		long = long[1:]
	}
	return nil
}

// account notes that a range was used.
func (v *view) account(r *target.Range) {
	v.used++
	v.small = v.small && len(r.Data) <= 8 && r.Addr/8 == (r.Addr+uint64(len(r.Data)-1))/8
	for n := 0; n < r.N; {
		at := r.Addr + uint64(n)
		pg, off := v.pages[at/viewPage], int(at%viewPage)
		end := min(off+r.N-n, viewPage)
		if end > len(pg.again) || !bytes.Equal(pg.first[off:end], pg.again[off:end]) {
			v.torn++
			return
		}
		n += end - off
	}
}

// copyOut fills p from the pages, which are there.
func (v *view) copyOut(p []byte, addr uint64) (int, error) {
	n := 0
	for n < len(p) {
		at := addr + uint64(n)
		pg, off := v.pages[at/viewPage], int(at%viewPage)
		if off >= len(pg.first) {
			if pg.err != nil {
				return n, faultAt(at, pg.err)
			}
			return n, &target.FaultError{Addr: at}
		}
		n += copy(p[n:], pg.first[off:])
	}
	return n, nil
}

// faultAt is the reason of a hole for another address in its page.
func faultAt(addr uint64, err error) error {
	if f, ok := err.(*target.FaultError); ok {
		return &target.FaultError{Addr: addr, Why: f.Why}
	}
	return err
}
