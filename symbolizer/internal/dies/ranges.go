package dies

import (
	"debug/dwarf"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

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

func (p *pcs) take(u *Unit, attr dwarf.Attr, v value) {
	switch attr {
	case dwarf.AttrLowpc:
		p.low, p.hasLow = u.addr(v)
	case dwarf.AttrHighpc:
		if v.constant() {
			p.high, p.hasHigh, p.highIsSize = v.num, true, true
		} else {
			p.high, p.hasHigh = u.addr(v)
		}
	case dwarf.AttrRanges:
		p.list, p.hasList, p.listIsIndex = v.num, true, v.form == formRnglistx
	case dwarf.AttrEntrypc:
		if v.constant() {
			p.entry, p.hasEntry, p.entryIsOffset = v.num, true, true
		} else {
			p.entry, p.hasEntry = u.addr(v)
		}
	}
}

// ranges appends the code that p describes to out, at most limit runs in all.
// Empty and inverted runs are dropped.
func (u *Unit) ranges(p pcs, out []Range, limit int) []Range {
	if p.hasList {
		if u.format.version >= 5 {
			return u.rnglist(p, out, limit)
		}
		return u.oldRanges(p.list, out, limit)
	}
	if !p.hasLow || !p.hasHigh {
		return out
	}
	end := p.high
	if p.highIsSize {
		end += p.low
	}
	return appendRange(out, p.low, end, limit)
}

func appendRange(out []Range, start, end uint64, limit int) []Range {
	if start >= end || len(out) >= limit {
		return out
	}
	return append(out, Range{start, end})
}

// oldRanges reads a list of .debug_ranges (DWARF 4, section 2.17.3).
func (u *Unit) oldRanges(off uint64, out []Range, limit int) []Range {
	r := dwbuf.New(u.d.sec.Ranges, off)
	size := u.format.addrSize
	largest := ^uint64(0) >> (64 - 8*uint(size))
	base := u.low
	for len(out) < limit {
		start, end := r.Uint(size), r.Uint(size)
		if r.Failed() || start == 0 && end == 0 {
			break
		}
		if start == largest {
			base = end
			continue
		}
		out = appendRange(out, base+start, base+end, limit)
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
func (u *Unit) rnglist(p pcs, out []Range, limit int) []Range {
	off := p.list
	if p.listIsIndex {
		base := u.rnglBase
		if !u.hasRnglBase {
			base = uint64(8 + 2*(u.format.offSize-2)) // after the first header
		}
		rel, ok := tableEntry(u.d.sec.Rnglists, base, p.list, u.format.offSize)
		if !ok {
			return out
		}
		off = base + rel
	}
	r := dwbuf.New(u.d.sec.Rnglists, off)
	size := u.format.addrSize
	base := u.low
	for len(out) < limit && !r.Failed() {
		var start, end uint64
		ok1, ok2 := true, true
		switch r.U8() {
		case rleEnd:
			return out
		case rleBaseAddressx:
			base, _ = u.addrx(r.Uleb())
			continue
		case rleBaseAddress:
			base = r.Uint(size)
			continue
		case rleStartxEndx:
			start, ok1 = u.addrx(r.Uleb())
			end, ok2 = u.addrx(r.Uleb())
		case rleStartxLength:
			start, ok1 = u.addrx(r.Uleb())
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
		if ok1 && ok2 && !r.Failed() {
			out = appendRange(out, start, end, limit)
		}
	}
	return out
}
