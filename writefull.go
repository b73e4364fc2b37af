package ukdbg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// ramLister is a machine that knows where its physical memory is.
type ramLister interface {
	RAM() []dumpfile.Extent
}

// planFull finds out where all memory is, and what of it was ever used.
func (s *Session) planFull(ctx context.Context, d *dumpfile.Dump) (physReader, error) {
	phys, ram, err := s.allMemory(ctx)
	if err != nil {
		return nil, fmt.Errorf("a full dump: %w; --minimal holds what is at virtual addresses", err)
	}
	var code []placed
	if root, tables, _, err := s.dumpTables(ctx, d); err == nil {
		code = s.codePlaces(ctx, root, tables)
	} else {
		if errors.Is(err, target.ErrLost) || ctx.Err() != nil {
			return nil, mark(err, ErrUnreachable)
		}
		d.Info.Notes = append(d.Info.Notes, err.Error())
	}
	used, err := usedPages(ctx, phys, ram)
	if err != nil {
		return nil, err
	}
	room := dumpfile.MaxLoads/2 - len(d.Maps)
	d.Extents = joinExtents(used, max(1000, room))
	if len(d.Extents) < len(used) {
		d.Info.Notes = append(d.Info.Notes, "pages that were never used are zero where they lie between others")
	}
	return func(ctx context.Context, p []byte, at uint64) error {
		if err := fillZero(ctx, phys, p, at); err != nil {
			return err
		}
		s.maskPlaces(p, at, code)
		return nil
	}, nil
}

// codePlaces are where the image's code lies in physical memory, by rising address.
func (s *Session) codePlaces(ctx context.Context, root mmu.Root, tables target.Memory) []placed {
	var out []placed
	if s.image == nil || !s.identity.Match {
		return nil
	}
	for _, sec := range s.image.Sections() {
		if sec.Code() && sec.Size > 0 {
			at := s.mapping.Run(sec.Addr)
			out = append(out, s.place(ctx, root, tables, stretch{at, at + sec.Size - 1})...)
		}
	}
	return disjoint(out)
}

// maskPlaces takes other debuggers' breakpoints out of p, which was read at a physical
// address: a dump is of the guest, not of who looked at it.
func (s *Session) maskPlaces(p []byte, at uint64, code []placed) {
	if len(p) == 0 {
		return
	}
	last := at + uint64(len(p)-1)
	i, _ := slices.BinarySearchFunc(code, at, func(c placed, at uint64) int { return cmp.Compare(c.last, at) })
	for ; i < len(code) && code[i].phys <= last; i++ {
		c := code[i]
		from, to := max(c.phys, at), min(c.last, last)
		s.maskText(p[from-at:to-at+1], c.virt+(from-c.phys))
	}
}

// allMemory is the guest's physical memory and where it is: read in the VMM's
// process, if that can be found, also of a guest behind a stub.
func (s *Session) allMemory(ctx context.Context) (target.Memory, []dumpfile.Extent, error) {
	for _, m := range []any{s.machine.machine, s.observer} {
		l, ok := m.(ramLister)
		p, can := m.(target.PhysicalMemory)
		if ok && can && p.Physical() != nil {
			return p.Physical(), l.RAM(), nil
		}
	}
	if s.live == nil {
		return nil, nil, errNoPhysical
	}
	if behind, err := s.openBehind(ctx); err == nil {
		if l, ok := behind.(ramLister); ok {
			s.behind = behind
			return behind.Physical(), l.RAM(), nil
		}
		return nil, nil, behind.Close()
	}
	m, ok := s.live.(target.Monitor)
	p, can := s.live.(target.PhysicalMemory)
	if !ok || !can || p.Physical() == nil {
		return nil, nil, errNoPhysical
	}
	text, err := m.Monitor(ctx, "info mtree -f")
	if err != nil {
		return nil, nil, fmt.Errorf("where memory is, the stub does not tell: %w", err)
	}
	ram := ramOf(text)
	if len(ram) == 0 {
		return nil, nil, errors.New("where memory is, the stub does not tell")
	}
	return p.Physical(), ram, nil
}

const pageSize = 4096

// usedPages are the pages that can be read: a page that the guest never used is
// not there.
func usedPages(ctx context.Context, phys target.Memory, ram []dumpfile.Extent) ([]dumpfile.Extent, error) {
	var out []dumpfile.Extent
	const batch = 4096
	probe := make([]byte, batch)
	ranges := make([]target.Range, 0, batch)
	_, many := phys.(target.ManyReader)
	for _, r := range ram {
		if !many {
			out = append(out, r) // over a stub: what it cannot read it tells
			continue
		}
		for off := uint64(0); off < r.Size; {
			ranges = ranges[:0]
			for ; off < r.Size && len(ranges) < batch; off += pageSize {
				k := len(ranges)
				ranges = append(ranges, target.Range{Addr: r.Phys + off, Data: probe[k : k+1]})
			}
			if err := target.ReadMany(ctx, phys, ranges); err != nil {
				return nil, err
			}
			for _, g := range ranges {
				if g.N == 0 {
					continue
				}
				size := min(pageSize, r.Phys+r.Size-g.Addr)
				if n := len(out); n > 0 && out[n-1].Phys+out[n-1].Size == g.Addr {
					out[n-1].Size += size
				} else {
					out = append(out, dumpfile.Extent{Phys: g.Addr, Size: size})
				}
			}
		}
	}
	return out, nil
}

// joinExtents joins extents over the least gaps until at most n are left.
func joinExtents(all []dumpfile.Extent, n int) []dumpfile.Extent {
	for gap := uint64(pageSize); len(all) > n; gap *= 2 {
		out := all[:1:1]
		for _, e := range all[1:] {
			last := &out[len(out)-1]
			if e.Phys-(last.Phys+last.Size) <= gap {
				last.Size = e.Phys + e.Size - last.Phys
			} else {
				out = append(out, e)
			}
		}
		all = out
	}
	return all
}

// fillZero reads memory page by page where it must; a page that is not there is
// one the guest would find zero.
func fillZero(ctx context.Context, phys target.Memory, p []byte, at uint64) error {
	for done := 0; done < len(p); {
		n, err := phys.ReadMemory(ctx, p[done:], at+uint64(done))
		done += n
		if done == len(p) {
			return nil
		}
		var hole *target.FaultError
		if err != nil && !errors.As(err, &hole) {
			return err
		}
		skip := int(min(uint64(len(p)-done), pageSize-(at+uint64(done))%pageSize))
		clear(p[done : done+skip])
		done += skip
	}
	return nil
}
