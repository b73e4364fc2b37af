package ctype

import (
	"debug/dwarf"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ukdbg/ukdbg/symbolizer/ctype/internal/dies"
)

// class sorts what a name stands for at file scope.
type class uint8

const (
	classStruct class = iota // struct, class
	classUnion
	classEnum
	classPlain // typedef, base type
	classVar
	classFunc
)

// named is one entry at the top level of a unit.
type named struct {
	off      uint64
	name     string
	next     int32 // of the same name, -1 at the end
	class    class
	decl     bool
	external bool
	unit     int32
}

// index finds entries at file scope by name.
type index struct {
	entries []named
	// first is the position in entries of the first of a name, last of the
	// last, to keep the order of the image.
	names map[string]chain
	// enumTypes lists the enums, whose constants are indexed when first asked
	// for.
	enumTypes []uint64
}

type chain struct{ first, last int32 }

// maxEntries bounds the index of a hostile image.
const maxEntries = 1 << 26

func (ts *Types) index() (*index, error) {
	ts.indexOnce.Do(func() { ts.ix, ts.indexErr = ts.scan() })
	return ts.ix, ts.indexErr
}

// scan reads the top level of every unit, on all processors. A malformed unit
// ends at the fault; only if no unit could be read it is an error.
func (ts *Types) scan() (*index, error) {
	units := ts.d.Units()
	tops := make([]top, len(units))
	var next atomic.Int32
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(units)) {
		wg.Go(func() {
			// One array for all units of this worker; each has a piece of it.
			var all top
			for {
				i := int(next.Add(1)) - 1
				if i >= len(units) {
					return
				}
				from := len(all.entries)
				err := ts.scanUnit(&all, units[i])
				tops[i] = top{all.entries[from:], all.names[from:], all.enumTypes, err}
				all.enumTypes = nil
			}
		})
	}
	wg.Wait()
	// In the order of the image, which decides between namesakes.
	total := 0
	for i := range tops {
		total += len(tops[i].entries)
	}
	ix := &index{names: make(map[string]chain, total/2), entries: make([]named, 0, min(total, maxEntries))}
	var firstErr error
	for i := range tops {
		for k, n := range tops[i].entries {
			if len(ix.entries) < maxEntries {
				ix.add(n, tops[i].names[k])
			}
		}
		ix.enumTypes = append(ix.enumTypes, tops[i].enumTypes...)
		if tops[i].err != nil && firstErr == nil {
			firstErr = fmt.Errorf("unit %#x: %w", units[i].Off, tops[i].err)
		}
	}
	if len(ix.entries) == 0 && firstErr != nil {
		return nil, firstErr
	}
	return ix, nil
}

// top is the top level of one unit: entries and their names, which point into
// the image.
type top struct {
	entries   []named
	names     [][]byte
	enumTypes []uint64
	err       error
}

// topAttrs is what scanUnit looks at.
var topAttrs = dies.Only(dwarf.AttrName, dwarf.AttrDeclaration, dwarf.AttrExternal, dwarf.AttrAbstractOrigin, dwarf.AttrSpecification)

func (ts *Types) scanUnit(out *top, u *dies.Unit) error {
	root, err := ts.d.Root(u)
	if err != nil {
		return err
	}
	it := ts.d.ChildrenOnly(root, topAttrs)
	for len(out.entries) < maxEntries && it.Next() {
		e := it.Entry()
		var c class
		switch e.Tag {
		case dwarf.TagStructType, dwarf.TagClassType:
			c = classStruct
		case dwarf.TagUnionType:
			c = classUnion
		case dwarf.TagEnumerationType:
			c = classEnum
			out.enumTypes = append(out.enumTypes, e.Off)
		case dwarf.TagTypedef, dwarf.TagBaseType:
			c = classPlain
		case dwarf.TagVariable:
			c = classVar
		case dwarf.TagSubprogram:
			c = classFunc
		default:
			continue
		}
		name := ts.d.NameBytes(e)
		n := named{off: e.Off, class: c, unit: int32(u.Number), decl: e.Flag(dwarf.AttrDeclaration), external: e.Flag(dwarf.AttrExternal)}
		if len(name) == 0 && (c == classVar || c == classFunc) {
			// A definition of something declared before names that.
			if o := ts.origin(e); o != nil {
				name = ts.d.NameBytes(o)
				n.external = n.external || o.Flag(dwarf.AttrExternal)
			}
		}
		if len(name) == 0 {
			continue
		}
		out.entries = append(out.entries, n)
		out.names = append(out.names, name)
	}
	return it.Err()
}

func (ix *index) add(n named, name []byte) {
	pos := int32(len(ix.entries))
	n.next = -1
	ch, ok := ix.names[string(name)]
	if ok {
		n.name = ix.entries[ch.first].name
		ix.entries[ch.last].next = pos
		ch.last = pos
	} else {
		n.name = string(name)
		ch = chain{pos, pos}
	}
	ix.entries = append(ix.entries, n)
	ix.names[n.name] = ch
}

// each calls f for every entry of a name until it returns false.
func (ix *index) each(name string, f func(n *named) bool) {
	ch, ok := ix.names[name]
	if !ok {
		return
	}
	for i := ch.first; i >= 0; i = ix.entries[i].next {
		if !f(&ix.entries[i]) {
			return
		}
	}
}

// origin returns the entry that e completes (DW_AT_specification) or is an
// instance of (DW_AT_abstract_origin), or nil.
func (ts *Types) origin(e *dies.Entry) *dies.Entry {
	for range maxDepth {
		a := e.Attr(dwarf.AttrAbstractOrigin)
		if a == nil {
			a = e.Attr(dwarf.AttrSpecification)
		}
		off, ok := ts.d.Ref(a)
		if !ok {
			return nil
		}
		o, err := ts.d.Entry(off)
		if err != nil {
			return nil
		}
		if o.Attr(dwarf.AttrName) != nil {
			return o
		}
		e = o
	}
	return nil
}

// enumRef is a constant of an enum.
type enumRef struct {
	enum  uint64
	value int64
}

// EnumConstant finds a constant of any enum at file scope by name.
func (ts *Types) EnumConstant(name string) (*Type, int64, bool) {
	ix, err := ts.index()
	if err != nil {
		return nil, 0, false
	}
	ts.enumOnce.Do(func() {
		ts.enums = make(map[string]enumRef)
		for _, off := range ix.enumTypes {
			for _, v := range ts.at(off).Enumerators() {
				if _, have := ts.enums[v.Name]; !have {
					ts.enums[v.Name] = enumRef{off, v.Value}
				}
			}
		}
	})
	r, ok := ts.enums[name]
	if !ok {
		return nil, 0, false
	}
	return ts.at(r.enum), r.value, true
}
