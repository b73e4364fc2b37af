package mmu

import (
	"context"
	"errors"
	"sync"

	"github.com/ukdbg/ukdbg/target"
)

// tlbSize is how many translations are kept; a power of two.
const tlbSize = 64

// Space is the virtual memory of one address space. It may be used by several
// goroutines if the physical memory may.
type Space struct {
	phys target.Memory
	root Root

	mu     sync.Mutex
	tlb    [tlbSize]Page // Size 0 is an empty slot
	tables map[uint64][]byte
}

// tablePage is the unit in which tables are read, and maxTables how many units
// are kept: a walk costs a read of its tables once, not one for each entry.
const (
	tablePage = 4096
	maxTables = 256
)

// walked is the physical memory as a walk reads it: tables are kept.
type walked struct{ *Space }

func (w walked) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	base, off := addr&^(tablePage-1), int(addr%tablePage)
	w.mu.Lock()
	page := w.tables[base]
	w.mu.Unlock()
	if page == nil {
		page = make([]byte, tablePage)
		if n, err := w.phys.ReadMemory(ctx, page, base); n < tablePage {
			if err != nil && !isHole(err) {
				return 0, err
			}
			// Part of a page, or none: what is there is read exactly.
			return w.phys.ReadMemory(ctx, p, addr)
		}
		w.mu.Lock()
		if w.tables == nil || len(w.tables) >= maxTables {
			w.tables = map[uint64][]byte{}
		}
		w.tables[base] = page
		w.mu.Unlock()
	}
	n := copy(p, page[off:])
	if n < len(p) {
		more, err := w.phys.ReadMemory(ctx, p[n:], addr+uint64(n))
		return n + more, err
	}
	return n, nil
}

// Virtual returns the memory that root maps on phys. Translations are kept, so
// a live guest's is made anew after each stop or emptied with Flush.
func Virtual(phys target.Memory, root Root) *Space { return &Space{phys: phys, root: root} }

// Root returns the tables' root.
func (s *Space) Root() Root { return s.root }

// Flush forgets all translations and tables.
func (s *Space) Flush() {
	s.mu.Lock()
	s.tlb = [tlbSize]Page{}
	s.tables = nil
	s.mu.Unlock()
}

// Translate returns the page va lies in.
func (s *Space) Translate(ctx context.Context, va uint64) (Page, error) {
	// The least page is 4 KiB; a larger one takes one slot for each part used.
	slot := &s.tlb[va>>12%tlbSize]
	s.mu.Lock()
	p := *slot
	s.mu.Unlock()
	if p.Size != 0 && p.Contains(va) {
		return p, nil
	}
	p, err := s.root.Translate(ctx, walked{s}, va)
	if err == nil {
		s.mu.Lock()
		*slot = p
		s.mu.Unlock()
	}
	return p, err
}

// ReadMemory reads virtual memory. Where nothing is mapped the error is a
// *target.FaultError that says at which level the walk ended; it wraps nothing
// that would hide a lost link.
func (s *Space) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	done := 0
	for done < len(p) {
		va := addr + uint64(done)
		if va < addr {
			return done, &target.FaultError{Addr: va, Why: "beyond the end of the address space"}
		}
		page, err := s.Translate(ctx, va)
		if err != nil {
			return done, fault(va, err)
		}
		off := va - page.Virt
		n := len(p) - done
		if left := page.Size - off; uint64(n) > left {
			n = int(left)
		}
		got, err := s.phys.ReadMemory(ctx, p[done:done+n], page.Phys+off)
		done += got
		if got < n {
			if err == nil {
				err = errors.New("short read")
			}
			return done, fault(va+uint64(got), err)
		}
	}
	return done, nil
}

// fault makes a hole of what a walk or a physical read found, and leaves other
// failures as they are.
func fault(va uint64, err error) error {
	var unmapped *NotMappedError
	var hole *target.FaultError
	if errors.As(err, &unmapped) || errors.As(err, &hole) {
		why := err.Error()
		if hole != nil && hole.Why != "" && hole.Addr/tablePage == va/tablePage {
			why = hole.Why // it is mapped to itself: the address need not be told twice
		}
		return &target.FaultError{Addr: va, Why: why, LeftOut: hole != nil && hole.LeftOut}
	}
	return err
}

// ReadMany reads many ranges with one request to the physical memory, after the
// walks that are needed. A physical memory without that power is read range by
// range.
func (s *Space) ReadMany(ctx context.Context, ranges []target.Range) error {
	var parts []target.Range
	var of []int // the range each part belongs to
	for i := range ranges {
		r := &ranges[i]
		r.N, r.Err = 0, nil
		for off := 0; off < len(r.Data); {
			va := r.Addr + uint64(off)
			if va < r.Addr {
				r.Err = &target.FaultError{Addr: va, Why: "beyond the end of the address space"}
				break
			}
			page, err := s.Translate(ctx, va)
			if err != nil {
				if r.Err = fault(va, err); !isHole(r.Err) {
					return err
				}
				break
			}
			in := va - page.Virt
			n := int(min(uint64(len(r.Data)-off), page.Size-in))
			parts = append(parts, target.Range{Addr: page.Phys + in, Data: r.Data[off : off+n]})
			of = append(of, i)
			off += n
		}
	}
	if err := target.ReadMany(ctx, s.phys, parts); err != nil {
		return err
	}
	ended := make([]bool, len(ranges))
	for k, p := range parts {
		r := &ranges[of[k]]
		if ended[of[k]] {
			continue // what comes after a hole does not count
		}
		r.N += p.N
		if p.N < len(p.Data) {
			ended[of[k]] = true
			err := p.Err
			if err == nil {
				err = errors.New("short read")
			}
			r.Err = fault(r.Addr+uint64(r.N), err)
		}
	}
	return nil
}

func isHole(err error) bool {
	var f *target.FaultError
	return errors.As(err, &f)
}
