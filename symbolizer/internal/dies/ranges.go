package dies

import "debug/dwarf"

// Range is a run of code, from Start up to, not including, End.
type Range struct{ Start, End uint64 }

// pcs collects the attributes that say which code an entry covers (DWARF 5,
// section 2.17).
type pcs struct {
	low, high, list     uint64
	entry               uint64
	hasLow, hasHigh     bool
	highIsSize, hasList bool
	listIsIndex         bool
	hasEntry            bool
	entryIsOffset       bool
}

func (p *pcs) take(u *Unit, a *Attr) {
	switch a.Attr {
	case dwarf.AttrLowpc:
		p.low, p.hasLow = u.addr(a)
	case dwarf.AttrHighpc:
		if a.IsConstant() {
			p.high, p.hasHigh, p.highIsSize = a.U, true, true
		} else {
			p.high, p.hasHigh = u.addr(a)
		}
	case dwarf.AttrRanges:
		p.list, p.hasList, p.listIsIndex = a.U, true, a.form == formRnglistx
	case dwarf.AttrEntrypc:
		if a.IsConstant() {
			p.entry, p.hasEntry, p.entryIsOffset = a.U, true, true
		} else {
			p.entry, p.hasEntry = u.addr(a)
		}
	}
}

// maxRanges bounds the runs of one entry.
const maxRanges = 1 << 16

// Ranges returns the code of an entry, from its low and high pc or its range
// list. An entry without code has none. A list that is damaged ends early.
func (d *Data) Ranges(e *Entry) []Range {
	var p pcs
	for i := range e.Attrs {
		p.take(e.Unit, &e.Attrs[i])
	}
	return e.Unit.rangesOf(p, nil, &budget{maxRanges, 2 * maxRanges})
}

// Ranges returns the code the unit says it covers, nothing if it does not tell.
func (u *Unit) Ranges() []Range {
	u.rangesOnce.Do(func() {
		if u.load() == nil {
			u.ranges = u.d.Ranges(&u.root)
		}
	})
	return u.ranges
}

// budget bounds what the range lists of several entries take together: the runs
// of code that are kept, and the entries that are read, for a list may be long and
// hold nothing, and many may share it.
type budget struct{ runs, entries int }

// wholeBudget is for all functions of the unit once. An entry of an inlined call
// takes a dozen bytes and has a few runs at most.
func (u *Unit) wholeBudget() budget {
	runs := 1<<14 + int(u.End-u.Offset)/2
	return budget{runs, 2 * runs}
}

// next takes an entry of a list, if there is one left.
func (b *budget) next() bool {
	b.entries--
	return b.entries >= 0 && b.runs > 0
}

// rangesOf appends the code that p describes to out, as long as b lasts. Empty and
// inverted runs are dropped.
func (u *Unit) rangesOf(p pcs, out []Range, b *budget) []Range {
	if p.hasList {
		if u.format.version >= 5 {
			return u.rnglist(p, out, b)
		}
		return u.oldRanges(u.base.ranges+p.list, out, b)
	}
	if !p.hasLow || !p.hasHigh {
		return out
	}
	end := p.high
	if p.highIsSize {
		end += p.low
	}
	return b.append(out, p.low, end)
}

func (b *budget) append(out []Range, start, end uint64) []Range {
	if start >= end || b.runs <= 0 {
		return out
	}
	b.runs--
	return append(out, Range{start, end})
}

// oldRanges reads a list of .debug_ranges (DWARF 4, section 2.17.3).
func (u *Unit) oldRanges(off uint64, out []Range, b *budget) []Range {
	r := u.src.sec.numbers(u.src.sec.Ranges, off)
	size := u.format.addrSize
	largest := ^uint64(0) >> (64 - 8*uint(size))
	base := u.base.low
	for b.next() {
		start, end := r.Uint(size), r.Uint(size)
		if r.Failed() || start == 0 && end == 0 {
			break
		}
		if start == largest {
			base = end
			continue
		}
		out = b.append(out, base+start, base+end)
	}
	return out
}

// Kinds of range list entries (DWARF 5, section 7.25).
const (
	rleEnd          = 0
	rleBaseAddressx = 1
	rleStartxEndx   = 2
	rleStartxLength = 3
	rleOffsetPair   = 4
	rleBaseAddress  = 5
	rleStartEnd     = 6
	rleStartLength  = 7
)

// rnglist reads a list of .debug_rnglists (DWARF 5, section 2.17.3).
func (u *Unit) rnglist(p pcs, out []Range, b *budget) []Range {
	off := p.list
	if p.listIsIndex {
		rel, ok := u.src.sec.tableEntry(u.src.sec.Rnglists, u.base.rnglists, p.list, u.format.offSize)
		if !ok {
			return out
		}
		off = u.base.rnglists + rel
	}
	r := u.src.sec.numbers(u.src.sec.Rnglists, off)
	size := u.format.addrSize
	base := u.base.low
	for b.next() && !r.Failed() {
		var start, end uint64
		switch r.U8() {
		case rleEnd:
			return out
		case rleBaseAddressx:
			base = u.addrAt(&r, r.Uleb())
			continue
		case rleBaseAddress:
			base = r.Uint(size)
			continue
		case rleStartxEndx:
			start = u.addrAt(&r, r.Uleb())
			end = u.addrAt(&r, r.Uleb())
		case rleStartxLength:
			start = u.addrAt(&r, r.Uleb())
			end = start + r.Uleb()
		case rleOffsetPair:
			start = base + r.Uleb()
			end = base + r.Uleb()
		case rleStartEnd:
			start, end = r.Uint(size), r.Uint(size)
		case rleStartLength:
			start = r.Uint(size)
			end = start + r.Uleb()
		default:
			return out
		}
		if !r.Failed() {
			out = b.append(out, start, end)
		}
	}
	return out
}
