package symbolizer

import (
	"debug/elf"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Function is a function with code of its own, or one inlined copy of it.
type Function struct {
	// Name is the name a person wrote, demangled, and Linkage the one in the
	// object file if it differs.
	Name, Linkage string
	// Entry is the link-time address where it starts.
	Entry uint64
	// Ranges is its code; a part the compiler split off is a run of its own.
	Ranges []Range
	// Inline tells an inlined copy.
	Inline bool
	// File and Line say where it is declared, "" and 0 if not known.
	File string
	Line int
}

// Function returns the function whose code is at addr, not an inlined one. By
// the symbol table alone it has one range and no line.
func (im *Image) Function(addr uint64) (Function, bool) {
	if u, t, i := im.outermostAt(addr); u != nil {
		return im.function(u, t, i), true
	}
	t, i, _ := im.symbolAt(addr)
	if sec := im.sectionAt(addr); i < 0 || !sec.Code() {
		return Function{}, false
	}
	s := t.symbol(i)
	f := Function{Name: im.demangle(s.Name), Entry: s.Addr, Ranges: []Range{{Start: s.Addr, End: s.Addr + s.Size}}}
	if f.Name != s.Name {
		f.Linkage = s.Name
	}
	return f, true
}

// funcAt finds the innermost function at addr by debug information.
func (im *Image) funcAt(addr uint64) (*dies.Unit, *dies.FuncTable, int) {
	d := im.dwarf()
	if d == nil {
		return nil, nil, -1
	}
	for u := range d.UnitsFor(addr) {
		if t, i := im.functionIn(u, addr); i >= 0 {
			return u, t, i
		}
	}
	return nil, nil, -1
}

// outermostAt is funcAt for the function that really is there, not inlined.
func (im *Image) outermostAt(addr uint64) (*dies.Unit, *dies.FuncTable, int) {
	u, t, i := im.funcAt(addr)
	if t != nil {
		for t.Funcs[i].Parent >= 0 {
			i = int(t.Funcs[i].Parent)
		}
	}
	return u, t, i
}

func (im *Image) function(u *dies.Unit, t *dies.FuncTable, i int) Function {
	fn := &t.Funcs[i]
	name := im.dwarf().NameOf(u, fn.DIE)
	loc := im.named(u, fn)
	if !fn.Inline {
		im.objectName(&loc, fn.Entry)
	}
	f := Function{
		Name: loc.Function, Linkage: loc.Linkage, Entry: fn.Entry, Inline: fn.Inline,
		Ranges: slices.Clone(t.RangesOf(i)), Line: int(name.DeclLine),
	}
	if name.Unit != nil {
		f.File = im.linesOf(name.Unit).path(name.DeclFile)
	}
	return f
}

// Functions returns the names of functions in the symbol table that start with
// prefix, demangled, sorted, each once: what a person may type.
func (im *Image) Functions(prefix string) []string {
	t := im.symbols()
	var out []string
	for i := range t.syms {
		if e := &t.syms[i]; !e.code || e.typ() != elf.STT_FUNC && e.typ() != elf.STT_GNU_IFUNC {
			continue
		}
		name := ShortName(im.demangle(t.name(i)))
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
