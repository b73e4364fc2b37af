package symbolizer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/line"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Place is an address for a breakpoint.
type Place struct {
	// Addr is the link-time address.
	Addr uint64
	// Function is the function there, the inlined one if the place is in an
	// inlined copy (Inline).
	Function string
	Inline   bool
	// File and Line are the source line at Addr, "" and 0 if not known.
	File string
	Line int
}

// ErrNoFunction says that no function has the name asked for, ErrNoLine that no
// code belongs to the line asked for or a later one of the file, ErrNoFile that
// no unit has the source file.
var (
	ErrNoFunction = errors.New("no such function")
	ErrNoLine     = errors.New("no code at or after that line")
	ErrNoFile     = errors.New("no such source file in the debug information")
)

// FunctionBreak returns where to stop in the functions called name: after the
// prologue, where arguments can be read, as gdb does. A C++ or Rust function may
// be named with or without parameters, and with or without its scope. With
// inlined, the places where it is inlined are given too. The error wraps
// ErrNoFunction.
func (im *Image) FunctionBreak(name string, inlined bool) ([]Place, error) {
	var out []Place
	seen := map[uint64]bool{}
	add := func(entry uint64, p Place) {
		if !seen[entry] {
			seen[entry] = true
			out = append(out, p)
		}
	}
	t := im.symbols()
	for i := range t.syms {
		e := &t.syms[i]
		if !e.code || !im.isFunctionName(t.name(i), name) {
			continue
		}
		if strings.HasSuffix(name, ".cold") { // asked for by its own name
			add(e.addr, im.place(e.addr))
		} else if entry, ok := im.entryOf(e.addr); ok {
			add(entry, im.place(im.AfterPrologue(entry)))
		}
	}
	if d := im.dwarf(); inlined && d != nil {
		units, _ := d.Units()
		for _, u := range units {
			ft := u.Functions()
			for i := range ft.Funcs {
				fn := &ft.Funcs[i]
				if full := im.named(u, fn).Function; fn.Inline && matches(full, name) {
					p := im.place(fn.Entry)
					p.Function, p.Inline = full, true
					add(fn.Entry, p)
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q: %w in %s", name, ErrNoFunction, im.Path)
	}
	slices.SortFunc(out, func(a, b Place) int { return cmp.Compare(a.Addr, b.Addr) })
	return out, nil
}

// isFunctionName reports whether the symbol sym may be the function a person
// calls name: itself, a clone of it, or a mangled form.
func (im *Image) isFunctionName(sym, name string) bool {
	if rest, ok := strings.CutPrefix(sym, name); ok && (rest == "" || rest[0] == '.') {
		return true
	}
	return mangled(sym) && matches(im.demangle(sym), name)
}

// matches compares a demangled name with what a person typed.
func matches(full, typed string) bool {
	if full == typed {
		return true
	}
	short := ShortName(full)
	return short == typed || strings.HasSuffix(short, "::"+typed) || strings.HasSuffix(full, "::"+typed)
}

// entryOf returns the entry of the function at addr, which may be a split off
// part of it. Without debug information a symbol is its own entry.
func (im *Image) entryOf(addr uint64) (uint64, bool) {
	u, t, i := im.outermostAt(addr)
	if u == nil {
		s, ok := im.Symbol(addr)
		// f.cold is no function, f.constprop.0 is one.
		return addr, ok && !strings.HasSuffix(s.Name, ".cold")
	}
	return t.Funcs[i].Entry, true
}

func (im *Image) place(addr uint64) Place {
	p := Place{Addr: addr}
	locs, err := im.Resolve(addr)
	if err == nil {
		p.Function, p.Inline, p.File, p.Line = locs[0].Function, locs[0].Inline, locs[0].File, locs[0].Line
	}
	return p
}

// AfterPrologue returns where a breakpoint on the function that starts at entry
// goes: past the code that sets up its frame. It is entry itself where the
// debug information follows variables through the prologue, which optimizing
// gcc's does, or where nothing is known of the function.
func (im *Image) AfterPrologue(entry uint64) uint64 {
	u, t, i := im.funcAt(entry)
	if u == nil {
		return entry
	}
	for t.Funcs[i].Parent >= 0 {
		i = int(t.Funcs[i].Parent)
	}
	end := functionEnd(t, i, entry)
	lines := im.linesOf(u)
	rows := lines.rows()
	first, ok := rows.Find(entry)
	if !ok {
		return entry
	}
	for k := first; k < len(rows.Rows) && rows.Rows[k].Addr < end && rows.Rows[k].Flags&line.EndSequence == 0; k++ {
		if rows.Rows[k].Flags&line.PrologueEnd != 0 {
			return rows.Rows[k].Addr
		}
	}
	if optimizedGCC(u.Info().Producer) {
		return entry
	}
	if im.arch == arch.X86_64 {
		// gcc's lines do not mark the prologue on x86; gdb looks for the frame
		// being set up and then goes to the next line.
		after := entry + im.x86FrameSetup(entry)
		if after == entry {
			return entry
		}
		if next, ok := nextRow(rows, after-1, end); ok {
			return next
		}
		return after
	}
	if next, ok := nextRow(rows, entry, end); ok {
		return next
	}
	return entry
}

// StepTarget returns where a step into the function that starts at entry ends.
// That is AfterPrologue, except that gdb goes past a frame pointer being set up on
// x86 even where variables can be read before (handle_step_into_function in
// gdb/infrun.c), and to the end of the line that is in.
func (im *Image) StepTarget(entry uint64) uint64 {
	body := im.AfterPrologue(entry)
	if im.arch != arch.X86_64 || body != entry {
		return body
	}
	body += im.x86FrameSetup(entry)
	f, ok := im.Function(entry)
	if !ok || len(f.Ranges) == 0 {
		return body
	}
	if r, ok := im.Line(body); ok && r.Start != body && r.End < f.Ranges[0].End {
		return r.End
	}
	return body
}

// functionEnd is the end of the part of function i that holds addr.
func functionEnd(t *dies.FuncTable, i int, addr uint64) uint64 {
	for _, r := range t.RangesOf(i) {
		if addr >= r.Start && addr < r.End {
			return r.End
		}
	}
	return addr
}

// nextRow returns the address of the first row past addr, below end.
func nextRow(t *line.Table, addr, end uint64) (uint64, bool) {
	i, ok := t.Find(addr)
	if !ok {
		return 0, false
	}
	for i++; i < len(t.Rows) && t.Rows[i].Flags&line.EndSequence == 0 && t.Rows[i].Addr < end; i++ {
		if t.Rows[i].Addr > addr {
			return t.Rows[i].Addr, true
		}
	}
	return 0, false
}

// optimizedGCC tells units in which gcc followed variables (-fvar-tracking, on
// with optimization), so that they can be read at the first instruction.
func optimizedGCC(producer string) bool {
	if !strings.HasPrefix(producer, "GNU ") {
		return false
	}
	level := ""
	for _, f := range strings.Fields(producer) {
		if strings.HasPrefix(f, "-O") {
			level = f // the last one counts
		}
	}
	return level != "" && level != "-O0"
}

// x86FrameSetup is the length of the instructions at entry that set up a frame
// pointer, 0 if there are none.
func (im *Image) x86FrameSetup(entry uint64) uint64 {
	code, ok := im.Data(entry, 12)
	if !ok {
		return 0
	}
	n := uint64(0)
	if bytes.HasPrefix(code, []byte{0xf3, 0x0f, 0x1e, 0xfa}) { // endbr64
		n = 4
	}
	if code[n] != 0x55 { // push %rbp
		return 0
	}
	n++
	for _, mov := range [][]byte{{0x48, 0x89, 0xe5}, {0x48, 0x8b, 0xec}} { // mov %rsp,%rbp
		if bytes.HasPrefix(code[n:], mov) {
			return n + 3
		}
	}
	return n
}
