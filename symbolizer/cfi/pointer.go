package cfi

import "github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"

// Pointer encodings (LSB 5, section 10.5.1).
const (
	peAbsptr = 0x00
	peUleb   = 0x01
	peUdata2 = 0x02
	peUdata4 = 0x03
	peUdata8 = 0x04
	peSleb   = 0x09
	peSdata2 = 0x0a
	peSdata4 = 0x0b
	peSdata8 = 0x0c
	peFormat = 0x0f

	pePCRel    = 0x10
	peApply    = 0x70
	peIndirect = 0x80
)

// readPointer reads an encoded pointer; addr is the address of the section's
// start. ok is false for encodings that depend on what an image file does not
// tell (data- or function-relative, indirect).
func readPointer(r *dwbuf.Reader, enc byte, addr uint64, addrSize int) (v uint64, ok bool) {
	at := r.Offset()
	switch enc & peFormat {
	case peAbsptr:
		v = r.Uint(addrSize)
	case peUleb:
		v = r.Uleb()
	case peUdata2:
		v = uint64(r.U16())
	case peUdata4:
		v = uint64(r.U32())
	case peUdata8, peSdata8:
		v = r.U64()
	case peSleb:
		v = uint64(r.Sleb())
	case peSdata2:
		v = uint64(r.Int(2))
	case peSdata4:
		v = uint64(r.Int(4))
	default:
		return 0, false
	}
	switch enc & peApply {
	case 0:
	case pePCRel:
		v += addr + at
	default:
		return 0, false
	}
	return v, !r.Failed() && enc&peIndirect == 0
}
