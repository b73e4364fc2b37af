package dies

import (
	"cmp"
	"iter"
	"slices"
	"sort"
)

// addrIndex finds units by address.
type addrIndex struct {
	entries []indexEntry // by start
}

type indexEntry struct {
	start, end uint64
	unit       uint64 // offset
}

// candidates bounds how many units are tried for one address.
const candidates = 16

func (x *addrIndex) find(addr uint64, yield func(unit uint64) bool) bool {
	n := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].start > addr })
	for k := n - 1; k >= 0 && k >= n-candidates; k-- {
		if addr < x.entries[k].end && !yield(x.entries[k].unit) {
			return false
		}
	}
	return true
}

func (x *addrIndex) sort() {
	slices.SortStableFunc(x.entries, func(a, b indexEntry) int { return cmp.Compare(a.start, b.start) })
}

// UnitsFor gives the units that may hold the code at addr, likelier ones first:
// those .debug_aranges names, then those it says nothing of whose root entry
// covers addr.
func (d *Data) UnitsFor(addr uint64) iter.Seq[*Unit] {
	return func(yield func(*Unit) bool) { d.unitsFor(addr, yield) }
}

func (d *Data) unitsFor(addr uint64, yield func(*Unit) bool) {
	d.indexOnce.Do(func() { d.index = d.readAranges() })
	if !d.index.find(addr, func(off uint64) bool {
		u, err := d.UnitAt(off)
		if err != nil {
			return true
		}
		return yield(u)
	}) {
		return
	}
	d.restOnce.Do(func() { d.rest = d.rootRanges() })
	d.rest.find(addr, func(off uint64) bool {
		u, err := d.UnitAt(off)
		return err != nil || yield(u)
	})
}

// UnitFor gives the offset of the first unit that UnitsFor gives. It takes no lock
// once it was called, and reads nothing of the unit.
func (d *Data) UnitFor(addr uint64) (offset uint64, ok bool) {
	first := func(off uint64) bool {
		offset, ok = off, true
		return false
	}
	d.indexOnce.Do(func() { d.index = d.readAranges() })
	if d.index.find(addr, first) {
		d.restOnce.Do(func() { d.rest = d.rootRanges() })
		d.rest.find(addr, first)
	}
	return offset, ok
}

// readAranges reads .debug_aranges (DWARF 5, section 6.1.2) as far as it is
// sound.
func (d *Data) readAranges() addrIndex {
	var x addrIndex
	sec := d.whole[0].sec
	r := sec.numbers(sec.Aranges, 0)
	for r.Len() > 0 && !r.Failed() {
		start := r.Offset()
		length, offSize := r.UnitLength()
		set := r
		r.Skip(length)
		set.Limit(length)
		version := set.U16()
		unit := set.Uint(offSize)
		addrSize, segSize := int(set.U8()), set.U8()
		if version != 2 || segSize != 0 || addrSize != 8 && addrSize != 4 {
			continue
		}
		// Tuples are aligned to their own size from the start of the set.
		tuple := uint64(2 * addrSize)
		set.Skip((tuple - (set.Offset()-start)%tuple) % tuple)
		for set.Len() >= int(tuple) && !set.Failed() {
			a, n := set.Uint(addrSize), set.Uint(addrSize)
			if a == 0 && n == 0 {
				break
			}
			if n > 0 && a+n > a {
				x.entries = append(x.entries, indexEntry{a, a + n, unit})
			}
		}
	}
	x.sort()
	return x
}

// rootRanges indexes the units that .debug_aranges says nothing of by what their
// root entries say they cover, or by their functions where a root entry is silent.
func (d *Data) rootRanges() addrIndex {
	var x addrIndex
	listed := map[uint64]bool{}
	for i := range d.index.entries {
		listed[d.index.entries[i].unit] = true
	}
	units, _ := d.Units()
	for _, u := range units {
		if listed[u.Offset] || !u.HasCode() {
			continue
		}
		ranges := u.Ranges()
		if len(ranges) == 0 {
			ranges = u.Functions().Ranges
		}
		for _, r := range ranges {
			x.entries = append(x.entries, indexEntry{r.Start, r.End, u.Offset})
		}
	}
	x.sort()
	return x
}
