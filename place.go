package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// Place is what a location means: run-time addresses to stop at, and the source
// line if one is known.
type Place struct {
	Addrs []uint64
	File  string
	Line  int
}

// FindPlace reads a location: FUNCTION, FILE:LINE, LINE in the file of the
// frame, *EXPRESSION, or "" for where the frame is.
func (s *Session) FindPlace(ctx context.Context, text string, f *Frame) (Place, error) {
	if s.image == nil && !strings.HasPrefix(text, "*") {
		return Place{}, ErrNoImage
	}
	switch {
	case text == "":
		if f == nil {
			return Place{}, errors.New("no frame is selected: give a location")
		}
		return s.placeAt(f.PC), nil
	case text[0] == '*':
		addr, err := s.Number(ctx, text[1:], f)
		if err != nil {
			return Place{}, err
		}
		return s.placeAt(addr), nil
	}
	if line, err := strconv.Atoi(text); err == nil {
		if f == nil || f.Loc.File == "" {
			return Place{}, errors.New("no source file is selected: give FILE:LINE")
		}
		return s.placeLine(f.Loc.File, line)
	}
	if i := strings.LastIndexByte(text, ':'); i > 0 {
		if line, err := strconv.Atoi(text[i+1:]); err == nil {
			return s.placeLine(text[:i], line)
		}
	}
	return s.placeFunction(text)
}

func (s *Session) placeAt(addr uint64) Place {
	p := Place{Addrs: []uint64{addr}}
	if locs, err := s.Resolve(addr); err == nil && len(locs) > 0 {
		p.File, p.Line = locs[0].File, locs[0].Line
	}
	return p
}

func (s *Session) placeLine(file string, line int) (Place, error) {
	var at Place
	err := s.inImages(func(m symbolizer.Mapping) error {
		points, resolved, err := m.Image.LineAddrs(file, line)
		if err == nil {
			at = placeOf(m, points)
			at.Line = resolved
		}
		return err
	})
	return at, err
}

func (s *Session) placeFunction(name string) (Place, error) {
	var at Place
	err := s.inImages(func(m symbolizer.Mapping) error {
		points, err := m.Image.FunctionBreak(name, true)
		if err == nil {
			at = placeOf(m, points)
		}
		return err
	})
	return at, err
}

// inImages tries the kernel's image and then what the guest loaded, until one of
// them knows; the error is the kernel's.
func (s *Session) inImages(try func(symbolizer.Mapping) error) error {
	err := try(s.mapping)
	for _, m := range s.loads.maps {
		if err == nil || try(m) == nil {
			return nil
		}
	}
	return err
}

// placeOf turns the image's places, of which there is at least one, to run-time
// addresses.
func placeOf(m symbolizer.Mapping, points []symbolizer.Place) Place {
	p := Place{File: points[0].File, Line: points[0].Line}
	for _, b := range points {
		p.Addrs = append(p.Addrs, m.Run(b.Addr))
	}
	return p
}

// lineRange is the code around pc that a row of the line table stands for.
func (s *Session) lineRange(pc uint64) (lineRange, bool) {
	if s.image == nil {
		return lineRange{}, false
	}
	m := s.mappingAt(pc)
	row, ok := m.Image.Line(m.Link(pc))
	if !ok {
		return lineRange{}, false
	}
	return lineRange{start: m.Run(row.Start), end: m.Run(row.End), file: row.File, line: row.Line, stmt: row.IsStmt}, true
}

// stepTarget is where a step into the function that starts at entry ends; ok is
// false if it has no lines.
func (s *Session) stepTarget(entry uint64) (uint64, bool) {
	if s.image == nil {
		return 0, false
	}
	m := s.mappingAt(entry)
	if _, ok := m.Image.Line(m.Link(entry)); !ok {
		return 0, false
	}
	return m.Run(m.Image.StepTarget(m.Link(entry))), true
}

// LineText tells which code belongs to the line at an address, as gdb does.
func (s *Session) LineText(addr uint64) (string, error) {
	r, ok := s.lineRange(addr)
	if !ok {
		return "", fmt.Errorf("no line number information for %s", s.named(addr))
	}
	return fmt.Sprintf("Line %d of %q starts at address %s and ends at %s.", r.line, r.file, s.named(r.start), s.named(r.end)), nil
}

// named is an address with its symbol: "0x1234 <f+4>".
func (s *Session) named(addr uint64) string {
	name, off, ok := s.Symbolize(addr)
	switch {
	case !ok:
		return fmt.Sprintf("%#x", addr)
	case off == 0:
		return fmt.Sprintf("%#x <%s>", addr, name)
	}
	return fmt.Sprintf("%#x <%s+%d>", addr, name, off)
}

// FunctionRange is the function around an address: name, start and end.
func (s *Session) FunctionRange(addr uint64) (name string, start, end uint64, err error) {
	if s.image == nil {
		return "", 0, 0, ErrNoImage
	}
	m := s.mappingAt(addr)
	sym, ok := m.Image.Symbol(m.Link(addr))
	if !ok || sym.Size == 0 {
		return "", 0, 0, fmt.Errorf("no function contains %#x", addr)
	}
	start = m.Run(sym.Addr)
	return symbolizer.Demangle(sym.Name), start, start + sym.Size, nil
}

// NamesWithPrefix proposes at most n symbols that start with prefix.
func (s *Session) NamesWithPrefix(prefix string, n int) []string {
	if s.image == nil {
		return nil
	}
	var out []string
	for _, m := range s.mappings() {
		for _, sym := range m.Image.SymbolsByPrefix(prefix) {
			if len(out) >= n {
				return out
			}
			out = append(out, sym.Name)
		}
	}
	return out
}

// SourceFiles lists the source files of the image.
func (s *Session) SourceFiles() []string {
	if s.image == nil {
		return nil
	}
	out := s.image.SourceFiles()
	for _, m := range s.loads.maps {
		out = append(out, m.Image.SourceFiles()...)
	}
	return out
}
