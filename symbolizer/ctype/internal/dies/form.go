package dies

import "debug/dwarf"

// form is the encoding of an attribute value (DWARF 5, section 7.5.6).
type form uint32

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

// fixedSize returns the length in bytes of a form with a fixed length, or -1.
func (u *Unit) fixedSize(f form) int {
	switch f {
	case formFlagPresent, formImplicitConst:
		return 0
	case formData1, formFlag, formRef1, formStrx1, formAddrx1:
		return 1
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2
	case formStrx3, formAddrx3:
		return 3
	case formData4, formRef4, formStrx4, formAddrx4, formRefSup4:
		return 4
	case formData8, formRef8, formRefSig8, formRefSup8:
		return 8
	case formData16:
		return 16
	case formAddr:
		return u.AddrSize
	case formStrp, formLineStrp, formSecOffset, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return u.offsetSize
	case formRefAddr:
		if u.Version < 3 {
			return u.AddrSize
		}
		return u.offsetSize
	}
	return -1
}

// skip steps over a value; it reports false for a form it does not know.
func (u *Unit) skip(c *cursor, f form) bool {
	if n := u.fixedSize(f); n >= 0 {
		c.take(uint64(n))
		return true
	}
	switch f {
	case formBlock1:
		c.take(c.uint(1))
	case formBlock2:
		c.take(c.uint(2))
	case formBlock4:
		c.take(c.uint(4))
	case formBlock, formExprloc:
		c.take(c.uleb())
	case formString:
		c.cstring()
	case formSdata, formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		c.uleb()
	case formIndirect:
		g := form(c.uleb())
		// An indirect form naming itself would recurse on hostile input.
		if g == formIndirect || g == formImplicitConst {
			return false
		}
		return u.skip(c, g)
	default:
		return false
	}
	return true
}

// value decodes one attribute value.
func (u *Unit) value(c *cursor, f field) (Attr, bool) {
	a := Attr{Attr: dwarf.Attr(f.attr), form: form(f.form)}
	if a.form == formIndirect {
		a.form = form(c.uleb())
		if a.form == formIndirect || a.form == formImplicitConst {
			return a, false
		}
	}
	switch a.form {
	case formImplicitConst:
		a.U = uint64(u.tab.implicits[f.implicit])
	case formFlagPresent:
		a.U = 1
	case formSdata:
		a.U = uint64(c.sleb())
	case formUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		a.U = c.uleb()
	case formRefUdata:
		a.U = u.Off + c.uleb()
	case formRef1, formRef2, formRef4, formRef8:
		a.U = u.Off + c.uint(u.fixedSize(a.form))
	case formString:
		a.B = c.cstring()
	case formData16:
		a.B = c.take(16)
	case formBlock1:
		a.B = c.take(c.uint(1))
	case formBlock2:
		a.B = c.take(c.uint(2))
	case formBlock4:
		a.B = c.take(c.uint(4))
	case formBlock, formExprloc:
		a.B = c.take(c.uleb())
	default:
		n := u.fixedSize(a.form)
		if n < 0 {
			return a, false
		}
		a.U = c.uint(n)
	}
	return a, true
}
