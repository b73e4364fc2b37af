package dies

import "debug/dwarf"

// PCRange is a range of code addresses, High excluded.
type PCRange struct{ Low, High uint64 }

// maxRanges bounds the ranges taken from one list.
const maxRanges = 1 << 16

// Ranges returns the code ranges of an entry, from its low and high pc or its
// range list. An entry without code has none.
func (d *Data) Ranges(e *Entry) ([]PCRange, error) {
	if a := e.Attr(dwarf.AttrRanges); a != nil {
		if e.Unit.Version >= 5 {
			return d.rangeList5(e.Unit, a)
		}
		return d.rangeList4(e.Unit, a.U)
	}
	low, ok := d.Address(e.Unit, e.Attr(attrLowPC))
	high := e.Attr(dwarf.AttrHighpc)
	if !ok || high == nil {
		return nil, nil
	}
	end, isAddr := d.address(e.Unit, high)
	if !isAddr {
		end = low + high.U
	}
	return []PCRange{{low, end}}, nil
}

// rangeList4 reads .debug_ranges (DWARF 4, section 2.17.3).
func (d *Data) rangeList4(u *Unit, off uint64) ([]PCRange, error) {
	c := cursor{b: d.ranges, off: off}
	base := u.base.lowPC
	top := ^uint64(0) >> (64 - 8*uint(u.AddrSize))
	var out []PCRange
	for len(out) < maxRanges {
		low, high := c.uint(u.AddrSize), c.uint(u.AddrSize)
		switch {
		case c.bad:
			return out, &FormatError{Section: ".debug_ranges", Off: off, What: "range list is cut off"}
		case low == 0 && high == 0:
			return out, nil
		case low == top:
			base = high
		case low < high:
			out = append(out, PCRange{base + low, base + high})
		}
	}
	return out, nil
}

// rangeList5 reads .debug_rnglists (DWARF 5, section 7.25).
func (d *Data) rangeList5(u *Unit, a *Attr) ([]PCRange, error) {
	off := a.U
	if a.form == formRnglistx {
		rel, ok := index(d.rnglists, u.base.rnglists, a.U, u.offsetSize)
		if !ok {
			return nil, &FormatError{Section: ".debug_rnglists", Off: u.base.rnglists, What: "index is out of its table"}
		}
		off = u.base.rnglists + rel
	}
	c := cursor{b: d.rnglists, off: off}
	base := u.base.lowPC
	var out []PCRange
	for len(out) < maxRanges {
		kind := c.uint(1)
		var r PCRange
		switch kind {
		case 0: // DW_RLE_end_of_list
			if c.bad {
				break
			}
			return out, nil
		case 1: // base_addressx
			base, _ = d.AddrIndex(u, c.uleb())
			continue
		case 2: // startx_endx
			r.Low, _ = d.AddrIndex(u, c.uleb())
			r.High, _ = d.AddrIndex(u, c.uleb())
		case 3: // startx_length
			r.Low, _ = d.AddrIndex(u, c.uleb())
			r.High = r.Low + c.uleb()
		case 4: // offset_pair
			r.Low = base + c.uleb()
			r.High = base + c.uleb()
		case 5: // base_address
			base = c.uint(u.AddrSize)
			continue
		case 6: // start_end
			r.Low = c.uint(u.AddrSize)
			r.High = c.uint(u.AddrSize)
		case 7: // start_length
			r.Low = c.uint(u.AddrSize)
			r.High = r.Low + c.uleb()
		default:
			c.bad = true
		}
		if c.bad {
			return out, &FormatError{Section: ".debug_rnglists", Off: off, What: "range list is cut off or has an unknown entry"}
		}
		if r.Low < r.High {
			out = append(out, r)
		}
	}
	return out, nil
}
