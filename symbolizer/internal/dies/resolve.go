package dies

import (
	"debug/dwarf"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// String returns a string attribute, "" if it is none or points nowhere.
func (d *Data) String(u *Unit, a *Attr) string {
	if a == nil {
		return ""
	}
	return string(u.str(a))
}

// Name returns the entry's own DW_AT_name.
func (d *Data) Name(e *Entry) string { return string(d.NameBytes(e)) }

// NameBytes returns the entry's own DW_AT_name as bytes of the image, which must
// not be changed.
func (d *Data) NameBytes(e *Entry) []byte {
	a := e.Attr(dwarf.AttrName)
	if a == nil {
		return nil
	}
	return e.Unit.str(a)
}

// str returns the string a value names, nil if it names none.
func (u *Unit) str(a *Attr) []byte {
	sec := u.src.sec
	switch a.form {
	case formString:
		return a.B
	case formStrp:
		return cstring(sec.Str, a.U)
	case formLineStrp:
		return cstring(sec.LineStr, a.U)
	case formStrpSup, formGNUStrpAlt:
		if u.src.alt != nil {
			return cstring(u.src.alt.sec.Str, a.U)
		}
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		off, ok := sec.tableEntry(sec.StrOffsets, u.base.strOffsets, a.U, u.format.offSize)
		if ok {
			return cstring(sec.Str, off)
		}
	}
	return nil
}

func cstring(b []byte, off uint64) []byte {
	r := dwbuf.New(b, off)
	return r.CString()
}

// Ref returns the offset of the entry a reference attribute names.
func (d *Data) Ref(a *Attr) (uint64, bool) {
	if a == nil || !a.IsReference() {
		return 0, false
	}
	if a.form == formRefSig8 {
		return d.typeBySignature(a.U)
	}
	return a.U, a.U != noEntry
}

// Address returns an address attribute (DW_FORM_addr or an index).
func (d *Data) Address(u *Unit, a *Attr) (uint64, bool) {
	if a == nil {
		return 0, false
	}
	return u.addr(a)
}

// AddrIndex returns entry i of the unit's part of .debug_addr.
func (d *Data) AddrIndex(u *Unit, i uint64) (uint64, bool) { return u.addrx(i) }

// addr returns the address a value is.
func (u *Unit) addr(a *Attr) (uint64, bool) {
	switch a.form {
	case formAddr:
		return a.U, true
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4, formGNUAddrIndex:
		return u.addrx(a.U)
	}
	return 0, false
}

func (u *Unit) addrx(i uint64) (uint64, bool) {
	return u.src.sec.tableEntry(u.src.sec.Addr, u.base.addr, i, u.format.addrSize)
}

// addrAt is addrx for an index read with r, which fails if there is no such address:
// a list that goes on without it would tell of other code.
func (u *Unit) addrAt(r *dwbuf.Reader, i uint64) uint64 {
	addr, ok := u.addrx(i)
	if !ok {
		r.Fail()
	}
	return addr
}

// tableEntry reads entry i of a table of 4- or 8-byte numbers at base.
func (s *Sections) tableEntry(b []byte, base, i uint64, size int) (uint64, bool) {
	n := uint64(len(b))
	if base > n || i >= (n-base)/uint64(size) {
		return 0, false
	}
	r := s.numbers(b, base+i*uint64(size))
	return r.Uint(size), true
}
