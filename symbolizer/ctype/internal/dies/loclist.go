package dies

// Location is one entry of a location list: Expr holds for addresses from Low
// to below High. Default entries hold where no other does.
type Location struct {
	Low, High uint64
	Expr      []byte
	Default   bool
}

// Locations returns the location list an attribute names; for an attribute that
// is an expression it is that one, as a default entry.
func (d *Data) Locations(u *Unit, a *Attr) ([]Location, error) {
	if a.IsBlock() {
		return []Location{{Expr: a.B, Default: true}}, nil
	}
	if u.Version >= 5 {
		return d.locList5(u, a)
	}
	return d.locList4(u, a.U)
}

// locList4 reads .debug_loc (DWARF 4, section 2.6.2).
func (d *Data) locList4(u *Unit, off uint64) ([]Location, error) {
	c := cursor{b: d.loc, off: off}
	base := u.base.lowPC
	top := ^uint64(0) >> (64 - 8*uint(u.AddrSize))
	var out []Location
	for len(out) < maxRanges {
		low, high := c.uint(u.AddrSize), c.uint(u.AddrSize)
		if !c.bad && low == 0 && high == 0 {
			return out, nil
		}
		if low == top {
			base = high
			continue
		}
		expr := c.take(c.uint(2))
		if c.bad {
			return out, &FormatError{Section: ".debug_loc", Off: off, What: "location list is cut off"}
		}
		if low < high {
			out = append(out, Location{Low: base + low, High: base + high, Expr: expr})
		}
	}
	return out, nil
}

// locList5 reads .debug_loclists (DWARF 5, section 7.29), by offset or, as
// clang does, through the unit's offset table.
func (d *Data) locList5(u *Unit, a *Attr) ([]Location, error) {
	off := a.U
	if a.form == formLoclistx {
		rel, ok := index(d.loclists, u.base.loclists, a.U, u.offsetSize)
		if !ok {
			return nil, &FormatError{Section: ".debug_loclists", Off: u.base.loclists, What: "index is out of its table"}
		}
		off = u.base.loclists + rel
	}
	c := cursor{b: d.loclists, off: off}
	base := u.base.lowPC
	var out []Location
	for len(out) < maxRanges {
		var l Location
		switch kind := c.uint(1); kind {
		case 0: // DW_LLE_end_of_list
			if !c.bad {
				return out, nil
			}
		case 1: // base_addressx
			base, _ = d.AddrIndex(u, c.uleb())
			continue
		case 2: // startx_endx
			l.Low, _ = d.AddrIndex(u, c.uleb())
			l.High, _ = d.AddrIndex(u, c.uleb())
		case 3: // startx_length
			l.Low, _ = d.AddrIndex(u, c.uleb())
			l.High = l.Low + c.uleb()
		case 4: // offset_pair
			l.Low = base + c.uleb()
			l.High = base + c.uleb()
		case 5: // default_location
			l.Default = true
		case 6: // base_address
			base = c.uint(u.AddrSize)
			continue
		case 7: // start_end
			l.Low = c.uint(u.AddrSize)
			l.High = c.uint(u.AddrSize)
		case 8: // start_length
			l.Low = c.uint(u.AddrSize)
			l.High = l.Low + c.uleb()
		case 9: // DW_LLE_GNU_view_pair of gcc: two numbers, no location
			c.uleb()
			c.uleb()
			continue
		default:
			c.bad = true
		}
		l.Expr = c.take(c.uleb())
		if c.bad {
			return out, &FormatError{Section: ".debug_loclists", Off: off, What: "location list is cut off or has an unknown entry"}
		}
		if l.Default || l.Low < l.High {
			out = append(out, l)
		}
	}
	return out, nil
}
