package expr

import (
	"debug/elf"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// ImageSymbols gives the symbols of an image by run-time address. The slide is
// run-time minus link-time address.
func ImageSymbols(im *symbolizer.Image, slide uint64) Symbols { return imageSymbols{im, slide} }

type imageSymbols struct {
	im    *symbolizer.Image
	slide uint64
}

func (s imageSymbols) SymbolAt(addr uint64) (string, uint64, bool) {
	sym, ok := s.im.Symbol(addr - s.slide)
	if ok && sym.Size == 0 {
		// A label names code; among data it may stand anywhere (_end), and gdb
		// does not name an address by it.
		sec, in := s.im.SectionAt(sym.Addr)
		ok = in && sec.Code()
	}
	return sym.Name, sym.Addr + s.slide, ok
}

func (s imageSymbols) FunctionAt(addr uint64) (string, uint64, bool) {
	sec, in := s.im.SectionAt(addr - s.slide)
	if !in || !sec.Code() {
		return "", 0, false
	}
	f, ok := s.im.Function(addr - s.slide)
	return f.Name, f.Entry + s.slide, ok && f.Entry <= addr-s.slide
}

func (s imageSymbols) SymbolByName(name string) (uint64, bool, bool) {
	sym, ok := s.im.SymbolByName(name)
	if !ok {
		return 0, false, false
	}
	code := sym.Type == elf.STT_FUNC || sym.Type == elf.STT_GNU_IFUNC
	if sec, in := s.im.SectionAt(sym.Addr); in && sym.Type == elf.STT_NOTYPE {
		code = sec.Code()
	}
	return sym.Addr + s.slide, code, true
}

func (s imageSymbols) SectionAt(addr uint64) (string, bool) {
	sec, ok := s.im.SectionAt(addr - s.slide)
	return sec.Name, ok
}
