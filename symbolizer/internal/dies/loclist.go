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
	if u.format.version >= 5 {
		return u.locList5(a)
	}
	if u.src.skeleton != nil {
		return u.locListSplit(a.U)
	}
	return u.locList4(a.U)
}

// optional returns a section that may not be there.
func optional(get func() []byte) []byte {
	if get == nil {
		return nil
	}
	return get()
}

// locList4 reads .debug_loc (DWARF 4, section 2.6.2).
func (u *Unit) locList4(off uint64) ([]Location, error) {
	r := u.src.sec.numbers(optional(u.src.sec.Loc), off)
	base := u.base.low
	top := ^uint64(0) >> (64 - 8*uint(u.format.addrSize))
	var out []Location
	for len(out) < maxRanges {
		low, high := r.Uint(u.format.addrSize), r.Uint(u.format.addrSize)
		if !r.Failed() && low == 0 && high == 0 {
			return out, nil
		}
		if low == top {
			base = high
			continue
		}
		expr := r.Bytes(uint64(r.U16()))
		if r.Failed() {
			return out, &FormatError{Section: ".debug_loc", Off: off, What: "location list is cut off"}
		}
		if low < high {
			out = append(out, Location{Low: base + low, High: base + high, Expr: expr})
		}
	}
	return out, nil
}

// locListSplit reads .debug_loc.dwo, the location lists of split units before
// DWARF 5 ("DWARF Extensions for Separate Debug Information Files", GCC wiki).
func (u *Unit) locListSplit(off uint64) ([]Location, error) {
	r := u.src.sec.numbers(optional(u.src.sec.Loc), off)
	base := u.base.low
	var out []Location
	for len(out) < maxRanges && !r.Failed() {
		var l Location
		switch r.U8() {
		case 0: // DW_LLE_GNU_end_of_list_entry
			if !r.Failed() {
				return out, nil
			}
		case 1: // DW_LLE_GNU_base_address_selection_entry
			base = u.addrAt(&r, r.Uleb())
			continue
		case 2: // DW_LLE_GNU_start_end_entry
			l.Low = u.addrAt(&r, r.Uleb())
			l.High = u.addrAt(&r, r.Uleb())
		case 3: // DW_LLE_GNU_start_length_entry
			l.Low = u.addrAt(&r, r.Uleb())
			l.High = l.Low + uint64(r.U32())
		case 4: // DW_LLE_GNU_offset_pair_entry
			l.Low = base + uint64(r.U32())
			l.High = base + uint64(r.U32())
		default:
			r.Fail()
		}
		l.Expr = r.Bytes(uint64(r.U16()))
		if !r.Failed() && l.Low < l.High {
			out = append(out, l)
		}
	}
	return out, &FormatError{Section: ".debug_loc.dwo", Off: off, What: "location list is cut off or has an unknown entry"}
}

// locList5 reads .debug_loclists (DWARF 5, section 7.29), by offset or, as
// clang does, through the unit's offset table.
func (u *Unit) locList5(a *Attr) ([]Location, error) {
	section, off := optional(u.src.sec.Loclists), a.U
	if a.form == formLoclistx {
		rel, ok := u.src.sec.tableEntry(section, u.base.loclists, a.U, u.format.offSize)
		if !ok {
			return nil, &FormatError{Section: ".debug_loclists", Off: u.base.loclists, What: "index is out of its table"}
		}
		off = u.base.loclists + rel
	}
	r := u.src.sec.numbers(section, off)
	base := u.base.low
	var out []Location
	for len(out) < maxRanges {
		var l Location
		switch kind := r.U8(); kind {
		case 0: // DW_LLE_end_of_list
			if !r.Failed() {
				return out, nil
			}
		case 1: // base_addressx
			base = u.addrAt(&r, r.Uleb())
			continue
		case 2: // startx_endx
			l.Low = u.addrAt(&r, r.Uleb())
			l.High = u.addrAt(&r, r.Uleb())
		case 3: // startx_length
			l.Low = u.addrAt(&r, r.Uleb())
			l.High = l.Low + r.Uleb()
		case 4: // offset_pair
			l.Low = base + r.Uleb()
			l.High = base + r.Uleb()
		case 5: // default_location
			l.Default = true
		case 6: // base_address
			base = r.Uint(u.format.addrSize)
			continue
		case 7: // start_end
			l.Low = r.Uint(u.format.addrSize)
			l.High = r.Uint(u.format.addrSize)
		case 8: // start_length
			l.Low = r.Uint(u.format.addrSize)
			l.High = l.Low + r.Uleb()
		case 9: // DW_LLE_GNU_view_pair of gcc: two numbers, no location
			r.Uleb()
			r.Uleb()
			continue
		default:
			r.Fail()
		}
		l.Expr = r.Bytes(r.Uleb())
		if r.Failed() {
			return out, &FormatError{Section: ".debug_loclists", Off: off, What: "location list is cut off or has an unknown entry"}
		}
		if l.Default || l.Low < l.High {
			out = append(out, l)
		}
	}
	return out, nil
}
