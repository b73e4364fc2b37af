package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/expr"
)

// typesFor are the types that names mean at a frame, nil for none: those of its
// image, or the kernel's where that has none.
func (s *Session) typesFor(f *Frame) (*ctype.Types, symbolizer.Mapping, error) {
	if f != nil && len(f.stack) > 0 {
		if types, m, err := s.typesAt(f.stack[f.physical].LookupPC); err == nil {
			return types, m, nil
		}
	}
	if s.types == nil && s.typesErr == nil {
		return nil, s.mapping, ErrNoImage
	}
	return s.types, s.mapping, s.typesErr
}

// scopeOf is what is in scope at a frame. A frame in an image without types has
// none, whatever the kernel's say of its address.
func (s *Session) scopeOf(env *expr.Env, f *Frame) (*ctype.Scope, error) {
	types, _, err := s.typesAt(f.stack[f.physical].LookupPC)
	if err != nil {
		return nil, err
	}
	return types.Scope(env.Frame.LookupPC, env.Frame.Inline)
}

// otherReaders read by the types of all images but one.
func (s *Session) otherReaders(ctx context.Context, but *ctype.Types) []*ctype.Reader {
	if len(s.loads.maps) == 0 {
		return nil
	}
	var out []*ctype.Reader
	if s.types != nil && s.types != but {
		out = append(out, s.types.Reader(ctx, s.mem, s.mapping.Slide))
	}
	for _, g := range s.loads.all {
		if g.file == nil {
			continue
		}
		if types, err := g.typesOf(); err == nil && types != but {
			out = append(out, types.Reader(ctx, s.mem, g.Slide))
		}
	}
	return out
}

// symbolsFrom are the symbols of all images; of several of a name, that of first.
func (s *Session) symbolsFrom(first symbolizer.Mapping) expr.Symbols {
	if len(s.loads.maps) == 0 {
		return expr.ImageSymbols(s.image, s.mapping.Slide)
	}
	return allSymbols{s, first}
}

// allSymbols joins the symbols of all images.
type allSymbols struct {
	s     *Session
	first symbolizer.Mapping
}

func (a allSymbols) at(addr uint64) expr.Symbols {
	m := a.s.mappingAt(addr)
	return expr.ImageSymbols(m.Image, m.Slide)
}

func (a allSymbols) SymbolAt(addr uint64) (string, uint64, bool) { return a.at(addr).SymbolAt(addr) }
func (a allSymbols) FunctionAt(addr uint64) (string, uint64, bool) {
	return a.at(addr).FunctionAt(addr)
}
func (a allSymbols) SectionAt(addr uint64) (string, bool) { return a.at(addr).SectionAt(addr) }

func (a allSymbols) SymbolByName(name string) (addr uint64, code, ok bool) {
	for _, m := range append(symbolizer.Mappings{a.first}, a.s.mappings()...) {
		if addr, code, ok := expr.ImageSymbols(m.Image, m.Slide).SymbolByName(name); ok {
			return addr, code, true
		}
	}
	return 0, false, false
}
