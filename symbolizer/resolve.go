package symbolizer

import (
	"bytes"
	"debug/elf"
	"errors"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/line"
)

// Location is one function at an address, with the line it is at.
type Location struct {
	// Function is the name a person wrote, demangled with its parameters, ""
	// if only the line is known. Linkage is the name in the object file if it
	// differs.
	Function, Linkage string
	// Entry is the link-time address where the function, or this inlined
	// copy of it, starts.
	Entry uint64
	// Inline: the function is inlined into the one of the next Location.
	Inline bool
	// FromSymbol: the name comes from the symbol table alone, so inlined
	// calls are not known.
	FromSymbol bool
	// File is the source file, Line its line and Column its column, from 1;
	// Line or Column 0 are not known.
	File         string
	Line, Column int
	// NoLine says why File or Line is not known, "" if they are.
	NoLine string
	// Missing names a file of split debug information that is not there, so that
	// inlined calls are not known, "" if none is.
	Missing string
}

// Resolve returns the functions at the link-time address addr, the innermost
// inlined one first and the function that really is there last. The error is a
// *NoSymbol. For a return address pass the address minus one. Where the line
// table has several rows at one address the line is that of gdb, which
// llvm-symbolizer and addr2line need not say (line.Table.Find).
func (im *Image) Resolve(addr uint64) ([]Location, error) { return im.resolve(addr, ResolveOptions{}) }

func (im *Image) resolve(addr uint64, opt ResolveOptions) ([]Location, error) {
	sec := im.sectionAt(addr)
	if sec == nil {
		return nil, &NoSymbol{Addr: addr, Reason: NotInImage}
	}
	if !sec.Code() {
		return nil, &NoSymbol{Addr: addr, Reason: NotCode, Section: sec.Name}
	}
	if locs := im.resolveDWARF(addr, opt); locs != nil {
		return locs, nil
	}
	t, i, near := im.symbolAt(addr)
	if i < 0 {
		e := &NoSymbol{Addr: addr, Reason: BeforeFirst, Section: sec.Name}
		if near >= 0 {
			e.Reason, e.Near = PastEnd, t.name(near)
		}
		return nil, e
	}
	loc := im.symbolLocation(t.symbol(i))
	loc.NoLine = "no unit of the debug information covers it"
	if im.dwarf() == nil {
		loc.NoLine = "the image has no debug information"
	}
	return []Location{loc}, nil
}

func (im *Image) symbolLocation(s Symbol) Location {
	l := Location{Function: im.demangle(s.Name), Entry: s.Addr, FromSymbol: true}
	if l.Function != s.Name {
		l.Linkage = s.Name
	}
	return l
}

// resolveDWARF resolves by debug information, nil if it knows nothing of addr.
func (im *Image) resolveDWARF(addr uint64, opt ResolveOptions) []Location {
	d := im.dwarf()
	if d == nil {
		return nil
	}
	for u := range d.UnitsFor(addr) {
		t, f := im.functionIn(u, addr)
		if out := im.resolveIn(nil, addr, u, t, f, im.linesOf(u), opt); out != nil {
			return out
		}
	}
	return nil
}

// resolveIn adds to out the functions at addr in the unit u, where f is the
// innermost in t, -1 if there is none; nothing if the unit does not know addr.
func (im *Image) resolveIn(out []Location, addr uint64, u *dies.Unit, t *dies.FuncTable, f int, lines *unitLines, opt ResolveOptions) []Location {
	find := lines.rows().Find
	if opt.LastRow {
		find = lines.rows().FindLast
	}
	row, hasRow := find(addr)
	switch {
	case f >= 0:
		return im.chain(out, addr, u, t, f, lines, row, hasRow)
	case hasRow: // assembly has lines and no functions
		loc := Location{}
		if t, i, _ := im.symbolAt(addr); i >= 0 {
			loc = im.symbolLocation(t.symbol(i))
		}
		var missing *dies.MissingSplitError
		if _, err := u.Full(); errors.As(err, &missing) {
			loc.Missing = missing.Error()
		}
		loc.setLine(lines, row)
		return append(out, loc)
	}
	return out
}

// functionIn finds the innermost function of a unit at addr, -1 if none.
func (im *Image) functionIn(u *dies.Unit, addr uint64) (*dies.FuncTable, int) {
	if t, i := u.FuncAt(addr); i >= 0 || !im.inFunctionSymbol(addr) {
		return t, i
	}
	// A function the outline has not: it is inside another one.
	t := u.Functions()
	return t, t.Find(addr)
}

// inFunctionSymbol reports whether a symbol says that a function covers addr,
// rather than space between functions.
func (im *Image) inFunctionSymbol(addr uint64) bool {
	t, i, _ := im.symbolAt(addr)
	return i >= 0 && t.syms[i].typ() == elf.STT_FUNC && t.syms[i].size > 0
}

// chain adds the function f of u and those it is inlined into.
func (im *Image) chain(out []Location, addr uint64, u *dies.Unit, t *dies.FuncTable, f int, lines *unitLines, row int, hasRow bool) []Location {
	if out == nil {
		n := 1
		for p := t.Funcs[f].Parent; p >= 0; p = t.Funcs[p].Parent {
			n++
		}
		out = make([]Location, 0, n)
	}
	var inner *dies.Func
	for i := int32(f); i >= 0; i = t.Funcs[i].Parent {
		fn := &t.Funcs[i]
		loc := im.named(u, fn)
		switch {
		case inner != nil:
			if inner.CallLine == 0 {
				loc.NoLine = "the inlined call tells no line"
				break
			}
			loc.File, loc.Line, loc.Column = lines.path(inner.CallFile), int(inner.CallLine), int(inner.CallColumn)
		case hasRow:
			loc.setLine(lines, row)
		default:
			loc.NoLine = lines.reason()
		}
		out = append(out, loc)
		inner = fn
	}
	im.objectName(&out[len(out)-1], addr)
	return out
}

// named returns the function of an entry without its line.
func (im *Image) named(u *dies.Unit, fn *dies.Func) Location {
	name := im.dwarf().NameOf(u, fn.DIE)
	loc := Location{Function: name.Name, Entry: fn.Entry, Inline: fn.Inline}
	if name.Linkage != "" {
		loc.Function = im.demangle(name.Linkage)
		if loc.Function != name.Linkage {
			loc.Linkage = name.Linkage
		}
	}
	return loc
}

// objectName completes the function that really is at addr with the name the
// object file has for that code: a clone's (f.constprop.0), a split off part's
// (f.cold), or the qualified one where DWARF has the last part alone (a function
// in an anonymous namespace) or none (a name in an alternate file).
func (im *Image) objectName(loc *Location, addr uint64) {
	t, i, _ := im.symbolAt(addr)
	if i < 0 || loc.Linkage != "" && !bytes.HasPrefix(t.nameBytes(i), []byte(loc.Linkage+".")) { // a clone's
		return
	}
	if string(t.nameBytes(i)) == loc.Function {
		return
	}
	name := t.name(i)
	if loc.Function == "" || loc.Linkage == "" && mangled(name) {
		loc.FromSymbol = loc.Function == ""
		loc.Function = im.demangle(name)
	}
	loc.Linkage = name
}

func (l *Location) setLine(lines *unitLines, row int) {
	r := lines.rows().Rows[row]
	l.File, l.Line, l.Column = lines.path(r.File), int(r.Line), int(r.Column)
	switch {
	case l.Line == 0:
		l.NoLine = "the compiler says it belongs to no line"
	case l.File == "":
		l.NoLine = "the line table names no such file"
	}
}

// Line returns the source line of the link-time address addr: file, line, and
// the run of code from start to end that the row covers. ok is false if no line
// table covers it.
func (im *Image) Line(addr uint64) (l LineRow, ok bool) {
	lines, row, ok := im.findRow(addr)
	if !ok {
		return LineRow{}, false
	}
	t := lines.rows()
	r := t.Rows[row]
	first, end := t.Span(row)
	return LineRow{
		Start: t.Rows[first].Addr, End: end, File: lines.path(r.File), Line: int(r.Line),
		Column: int(r.Column), IsStmt: t.Rows[first].Flags&line.IsStmt != 0,
	}, true
}

// LineRow is one row of a line table: the code from Start up to End belongs to a
// line.
type LineRow struct {
	Start, End   uint64
	File         string
	Line, Column int
	// IsStmt: the compiler recommends the start for a breakpoint.
	IsStmt bool
}

func (im *Image) findRow(addr uint64) (*unitLines, int, bool) {
	d := im.dwarf()
	if d == nil {
		return nil, 0, false
	}
	for u := range d.UnitsFor(addr) {
		lines := im.linesOf(u)
		if row, ok := lines.rows().Find(addr); ok {
			return lines, row, true
		}
	}
	return nil, 0, false
}

// Short is the function's name without parameters.
func (l *Location) Short() string { return ShortName(l.Function) }

// Base is the last part of the file's name.
func (l *Location) Base() string { return l.File[strings.LastIndexByte(l.File, '/')+1:] }
