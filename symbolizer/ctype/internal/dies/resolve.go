package dies

import "debug/dwarf"

// String returns a string attribute, "" if it is none or points nowhere.
func (d *Data) String(u *Unit, a *Attr) string {
	if a == nil {
		return ""
	}
	return string(d.bytes(u, a))
}

// NameBytes returns the entry's own DW_AT_name as bytes of the image, which must
// not be changed.
func (d *Data) NameBytes(e *Entry) []byte {
	a := e.Attr(dwarf.AttrName)
	if a == nil {
		return nil
	}
	return d.bytes(e.Unit, a)
}

func (d *Data) bytes(u *Unit, a *Attr) []byte {
	at := func(section []byte, off uint64) []byte {
		c := cursor{b: section, off: off}
		return c.cstring()
	}
	switch a.form {
	case formString:
		return a.B
	case formStrp:
		return at(d.str, a.U)
	case formLineStrp:
		return at(d.lineStr, a.U)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		off, ok := index(d.strOffsets, u.base.strOffsets, a.U, u.offsetSize)
		if !ok {
			return nil
		}
		return at(d.str, off)
	}
	return nil
}

// index reads entry i of a table of fixed-size offsets or addresses.
func index(section []byte, base, i uint64, size int) (uint64, bool) {
	if i > uint64(len(section)) || base > uint64(len(section)) {
		return 0, false
	}
	c := cursor{b: section, off: base + i*uint64(size)}
	v := c.uint(size)
	return v, !c.bad
}

// Name returns the entry's own DW_AT_name.
func (d *Data) Name(e *Entry) string { return d.String(e.Unit, e.Attr(dwarf.AttrName)) }

// Ref returns the offset of the entry a reference attribute names.
func (d *Data) Ref(a *Attr) (uint64, bool) {
	if a == nil || !a.IsReference() {
		return 0, false
	}
	if a.form == formRefSig8 {
		u := d.types[a.U]
		if u == nil {
			return 0, false
		}
		return u.TypeOff, true
	}
	return a.U, true
}

// Address returns an address attribute (DW_FORM_addr or an index).
func (d *Data) Address(u *Unit, a *Attr) (uint64, bool) {
	if a == nil {
		return 0, false
	}
	return d.address(u, a)
}

func (d *Data) address(u *Unit, a *Attr) (uint64, bool) {
	switch a.form {
	case formAddr:
		return a.U, true
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4, formGNUAddrIndex:
		return d.AddrIndex(u, a.U)
	}
	return 0, false
}

// AddrIndex returns entry i of the unit's part of .debug_addr.
func (d *Data) AddrIndex(u *Unit, i uint64) (uint64, bool) {
	return index(d.addr, u.base.addr, i, u.AddrSize)
}

// LowPC returns the base address of the unit, 0 if it has none.
func (u *Unit) LowPC() uint64 { return u.base.lowPC }
