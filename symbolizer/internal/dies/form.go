package dies

import "github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"

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

// fixedSize returns the size of a value in bytes where the form alone tells it.
func (fo form) fixedSize(f format) (n uint64, ok bool) {
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
		return uint64(f.addrSize), true
	case formStrp, formLineStrp, formSecOffset, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return uint64(f.offSize), true
	case formRefAddr:
		if f.version <= 2 {
			return uint64(f.addrSize), true
		}
		return uint64(f.offSize), true
	}
	return 0, false
}

// value is an attribute's value, undecoded: num for numbers, offsets, indices
// and references, raw for strings and blocks in place.
type value struct {
	form form
	num  uint64
	raw  []byte
}

// read reads a value. Forms it does not know make r fail, for then nothing after
// them can be found.
func (fo form) read(r *dwbuf.Reader, f format, implicit int64) value {
	v := value{form: fo}
	switch fo {
	case formFlagPresent:
		v.num = 1
	case formImplicitConst:
		v.num = uint64(implicit)
	case formStrx3, formAddrx3:
		v.num = uint64(r.U24())
	case formData16:
		v.raw = r.Bytes(16)
	case formSdata:
		v.num = uint64(r.Sleb())
	case formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		v.num = r.Uleb()
	case formString:
		v.raw = r.CString()
	case formBlock, formExprloc:
		v.raw = r.Bytes(r.Uleb())
	case formBlock1:
		v.raw = r.Bytes(uint64(r.U8()))
	case formBlock2:
		v.raw = r.Bytes(uint64(r.U16()))
	case formBlock4:
		v.raw = r.Bytes(uint64(r.U32()))
	case formIndirect:
		// One level only: an indirect form naming itself would not end.
		if next := form(r.Uleb()); next != formIndirect && next != formImplicitConst {
			return next.read(r, f, 0)
		}
		r.Fail()
	default:
		n, ok := fo.fixedSize(f)
		if !ok {
			r.Fail()
			return v
		}
		v.num = r.Uint(int(n))
	}
	return v
}

// constant reports whether the value is a plain number.
func (v value) constant() bool {
	switch v.form {
	case formData1, formData2, formData4, formData8, formSdata, formUdata, formImplicitConst:
		return true
	}
	return false
}
