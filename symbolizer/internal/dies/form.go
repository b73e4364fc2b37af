package dies

import (
	"debug/dwarf"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// form is how an attribute's value is encoded (DWARF 5, section 7.5.6).
type form uint16

const (
	formAddr          form = 0x01
	formBlock2        form = 0x03
	formBlock4        form = 0x04
	formData2         form = 0x05
	formData4         form = 0x06
	formData8         form = 0x07
	formString        form = 0x08
	formBlock         form = 0x09
	formBlock1        form = 0x0a
	formData1         form = 0x0b
	formFlag          form = 0x0c
	formSdata         form = 0x0d
	formStrp          form = 0x0e
	formUdata         form = 0x0f
	formRefAddr       form = 0x10
	formRef1          form = 0x11
	formRef2          form = 0x12
	formRef4          form = 0x13
	formRef8          form = 0x14
	formRefUdata      form = 0x15
	formIndirect      form = 0x16
	formSecOffset     form = 0x17
	formExprloc       form = 0x18
	formFlagPresent   form = 0x19
	formStrx          form = 0x1a
	formAddrx         form = 0x1b
	formRefSup4       form = 0x1c
	formStrpSup       form = 0x1d
	formData16        form = 0x1e
	formLineStrp      form = 0x1f
	formRefSig8       form = 0x20
	formImplicitConst form = 0x21
	formLoclistx      form = 0x22
	formRnglistx      form = 0x23
	formRefSup8       form = 0x24
	formStrx1         form = 0x25
	formStrx2         form = 0x26
	formStrx3         form = 0x27
	formStrx4         form = 0x28
	formAddrx1        form = 0x29
	formAddrx2        form = 0x2a
	formAddrx3        form = 0x2b
	formAddrx4        form = 0x2c
	formGNUAddrIndex  form = 0x1f01
	formGNUStrIndex   form = 0x1f02
	formGNURefAlt     form = 0x1f20
	formGNUStrpAlt    form = 0x1f21
)

// fixedSize returns the size of a value in bytes where form and format alone tell
// it.
func (fo form) fixedSize(f format) (n int, ok bool) {
	switch fo {
	case formFlagPresent, formImplicitConst:
		return 0, true
	case formData1, formFlag, formRef1, formStrx1, formAddrx1:
		return 1, true
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2, true
	case formStrx3, formAddrx3:
		return 3, true
	case formData4, formRef4, formStrx4, formAddrx4, formRefSup4:
		return 4, true
	case formData8, formRef8, formRefSig8, formRefSup8:
		return 8, true
	case formData16:
		return 16, true
	case formAddr:
		return f.addrSize, true
	case formStrp, formLineStrp, formSecOffset, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return f.offSize, true
	case formRefAddr:
		if f.version <= 2 {
			return f.addrSize, true
		}
		return f.offSize, true
	}
	return 0, false
}

// skip moves r behind a value. Forms it does not know make r fail, for then
// nothing after them can be found.
func (fo form) skip(r *dwbuf.Reader, f format) {
	switch fo {
	case formSdata, formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		r.Uleb()
	case formString:
		r.CString()
	case formBlock, formExprloc:
		r.Skip(r.Uleb())
	case formBlock1:
		r.Skip(uint64(r.U8()))
	case formBlock2:
		r.Skip(uint64(r.U16()))
	case formBlock4:
		r.Skip(uint64(r.U32()))
	case formIndirect:
		// One level only: an indirect form naming itself would not end.
		if next := form(r.Uleb()); next != formIndirect && next != formImplicitConst {
			next.skip(r, f)
			return
		}
		r.Fail()
	default:
		n, ok := fo.fixedSize(f)
		if !ok {
			r.Fail()
			return
		}
		r.Skip(uint64(n))
	}
}

// Attr is one attribute of an entry. Numbers, flags, offsets in sections and
// indices are in U (signed ones in two's complement), and so are offsets of
// entries, of which those of DW_FORM_ref_sig8 are signatures. Blocks,
// expressions and inline strings are in B, which points into the image and must
// not be changed.
type Attr struct {
	Attr dwarf.Attr
	U    uint64
	B    []byte
	form form
}

// noEntry is the offset of an entry in a file that is not there.
const noEntry = ^uint64(0)

// value reads the value of one attribute.
func (u *Unit) value(r *dwbuf.Reader, f field) Attr {
	a := Attr{Attr: dwarf.Attr(f.attr), form: form(f.form)}
	if a.form == formIndirect {
		if a.form = form(r.Uleb()); a.form == formIndirect || a.form == formImplicitConst {
			r.Fail()
			return a
		}
	}
	switch a.form {
	case formFlagPresent:
		a.U = 1
	case formImplicitConst:
		a.U = uint64(u.abbrevs.implicits[f.arg])
	case formStrx3, formAddrx3:
		a.U = uint64(r.U24())
	case formRef1, formRef2, formRef4, formRef8:
		n, _ := a.form.fixedSize(u.format)
		a.U = u.Offset + r.Uint(n)
	case formRefUdata:
		a.U = u.Offset + r.Uleb()
	case formRefAddr:
		n, _ := a.form.fixedSize(u.format)
		a.U = u.src.base + r.Uint(n)
	case formGNURefAlt, formRefSup4, formRefSup8:
		n, _ := a.form.fixedSize(u.format)
		a.U = noEntry
		if v := r.Uint(n); u.src.alt != nil && v < 1<<sourceShift {
			a.U = u.src.alt.base + v
		}
	case formData16:
		a.B = r.Bytes(16)
	case formSdata:
		a.U = uint64(r.Sleb())
	case formUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		a.U = r.Uleb()
	case formString:
		a.B = r.CString()
	case formBlock, formExprloc:
		a.B = r.Bytes(r.Uleb())
	case formBlock1:
		a.B = r.Bytes(uint64(r.U8()))
	case formBlock2:
		a.B = r.Bytes(uint64(r.U16()))
	case formBlock4:
		a.B = r.Bytes(uint64(r.U32()))
	default:
		n, ok := a.form.fixedSize(u.format)
		if !ok {
			r.Fail()
			return a
		}
		a.U = r.Uint(n)
	}
	return a
}

// IsBlock reports whether the value is a block or an expression.
func (a *Attr) IsBlock() bool {
	switch a.form {
	case formBlock, formBlock1, formBlock2, formBlock4, formExprloc:
		return true
	}
	return false
}

// IsReference reports whether the value is the offset of an entry, which
// Data.Ref returns.
func (a *Attr) IsReference() bool {
	switch a.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata, formRefAddr, formRefSig8, formGNURefAlt, formRefSup4, formRefSup8:
		return true
	}
	return false
}

// IsConstant reports whether U is a number in itself.
func (a *Attr) IsConstant() bool {
	switch a.form {
	case formData1, formData2, formData4, formData8, formSdata, formUdata, formImplicitConst:
		return true
	}
	return false
}
