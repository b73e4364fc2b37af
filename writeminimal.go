package ukdbg

import (
	"context"
	"errors"
	"slices"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// placed is a stretch of physical memory and where it is read.
type placed struct {
	phys, last uint64
	virt       uint64
	table      bool // a page table, read by its physical address
}

// planMinimal finds out what a minimal dump holds. What was read of a running
// guest while that was found out is of one moment, as far as that could be had.
func (s *Session) planMinimal(ctx context.Context, opt WriteOptions, d *dumpfile.Dump) (of func(phys uint64) string, read physReader, err error) {
	m := &minimal{s: s, depth: opt.Depth}
	if m.depth == 0 {
		m.depth = DefaultDepth
	}
	if err := s.settle(ctx, func() error { return m.gather(ctx) }); err != nil {
		return nil, nil, err
	}
	d.Info.Depth, d.Info.LeftOut, d.Info.Torn = max(0, m.depth), leftOut, s.torn
	if d.Info.Instant {
		d.Info.Torn = ""
	}
	want := mergeStretches(append(without(s.imageParts(), m.heap), m.rec.read...))
	root, phys, tables, err := s.dumpTables(ctx, d)
	switch {
	case errors.Is(err, target.ErrLost), ctx.Err() != nil:
		return nil, nil, mark(err, ErrUnreachable)
	case err != nil:
		// Addresses are what the stub takes: virtual ones.
		d.Info.Tables = &dumpfile.Tables{Format: "identity"}
		d.Info.Notes = append(d.Info.Notes, "the dump has virtual addresses alone: "+err.Error())
		root, tables = mmu.Root{}, nil
	}
	var all []placed
	for _, w := range want {
		all = append(all, s.place(ctx, root, phys, w)...)
	}
	for _, t := range tables {
		all = append(all, placed{phys: t.Phys, last: t.Phys + t.Size - 1, table: true})
	}
	all = disjoint(all)
	for _, p := range all {
		d.Extents = append(d.Extents, dumpfile.Extent{Phys: p.phys, Size: p.last - p.phys + 1})
	}
	find := func(at uint64) placed {
		i, _ := slices.BinarySearchFunc(all, at, func(e placed, at uint64) int {
			switch {
			case e.last < at:
				return -1
			case e.phys > at:
				return 1
			}
			return 0
		})
		return all[i]
	}
	of = func(at uint64) string {
		p := find(at)
		if p.table {
			return "page tables"
		}
		return m.part(p.virt + (at - p.phys))
	}
	return of, func(ctx context.Context, p []byte, at uint64) error {
		e := find(at)
		if e.table {
			return s.fill(ctx, phys, p, at)
		}
		return s.fill(ctx, s.mem, p, e.virt+(at-e.phys))
	}, nil
}

// fill reads all of p. What was readable a moment ago and is not any more is the
// guest's doing.
func (s *Session) fill(ctx context.Context, mem target.Memory, p []byte, addr uint64) error {
	const step = 32 << 10 // what is remembered of a running guest
	for off := 0; off < len(p); off += step {
		q := p[off:min(len(p), off+step)]
		if err := target.ReadFull(ctx, mem, q, addr+uint64(off)); err != nil {
			return err
		}
	}
	return nil
}

// imageParts are the image's sections in the guest.
func (s *Session) imageParts() []stretch {
	var out []stretch
	if s.image == nil {
		return nil
	}
	for _, sec := range s.image.Sections() {
		if sec.Alloc() && sec.Size > 0 {
			at := s.mapping.Run(sec.Addr)
			out = append(out, stretch{at, at + sec.Size - 1})
		}
	}
	return mergeStretches(out)
}

// place finds where a stretch of virtual memory lies. What cannot be read is left
// out.
func (s *Session) place(ctx context.Context, root mmu.Root, phys target.Memory, w stretch) []placed {
	var out []placed
	const page = 4096
	for at := w.first; ; {
		end := min(at|(page-1), w.last)
		var b [1]byte
		if n, _ := s.mem.ReadMemory(ctx, b[:], at); n == 1 {
			p := placed{phys: at, virt: at}
			ok := true
			if root.Format != mmu.Identity {
				pg, err := root.Translate(ctx, phys, at)
				ok = err == nil
				p.phys = pg.Phys + (at - pg.Virt)
			}
			p.last = p.phys + (end - at)
			if k := len(out) - 1; ok && k >= 0 && out[k].last+1 == p.phys && out[k].virt+(p.phys-out[k].phys) == p.virt {
				out[k].last = p.last
			} else if ok {
				out = append(out, p)
			}
		}
		if end == w.last {
			return out
		}
		at = end + 1
	}
}

// disjoint sorts pieces by physical address and cuts what another one holds.
func disjoint(all []placed) []placed {
	slices.SortFunc(all, func(a, b placed) int {
		switch {
		case a.phys < b.phys:
			return -1
		case a.phys > b.phys:
			return 1
		}
		return 0
	})
	var out []placed
	for _, p := range all {
		if n := len(out); n > 0 && p.phys <= out[n-1].last {
			if p.last <= out[n-1].last {
				continue
			}
			skip := out[n-1].last + 1 - p.phys
			p.phys, p.virt = p.phys+skip, p.virt+skip
		}
		out = append(out, p)
	}
	return out
}
