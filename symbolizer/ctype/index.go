package ctype

import (
	"debug/dwarf"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
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
	raw      []byte // the name, in the image
	class    class
	decl     bool
	external bool
}

func (n *named) name() string { return string(n.raw) }

// index finds entries at file scope by name.
type index interface {
	// each calls f for every entry of a name and class, in the order of the image,
	// until it returns false. Mere declarations may be left out where there is a
	// definition.
	each(name string, c class, f func(n *named) bool)
	// variables calls f for every definition of a variable, in the order of the
	// image.
	variables(f func(n *named))
	// enumTypes lists the enums.
	enumTypes() []uint64
}

// scanned is the index made by reading the top level of every unit. Of each name
// there is a hash, and looking one up goes through all hashes: some ten
// microseconds for a unikernel, where a map of the names would take milliseconds
// to make.
type scanned struct {
	tops  []top // in the order of the image
	enums []uint64
}

func (ix *scanned) enumTypes() []uint64 { return ix.enums }

func (ix *scanned) variables(f func(n *named)) {
	for t := range ix.tops {
		for i := range ix.tops[t].entries {
			if n := &ix.tops[t].entries[i]; n.class == classVar && !n.decl {
				f(n)
			}
		}
	}
}

// maxEntries bounds the index of a hostile image.
const maxEntries = 1 << 26

func (ts *Types) index() (index, error) {
	ts.indexOnce.Do(func() {
		if ts.ix = ts.keptIndex(); ts.ix != nil {
			return
		}
		if ts.ix = ts.listedIndex(ts.section(".debug_names"), ts.section(".debug_str")); ts.ix != nil {
			return
		}
		ix, err := ts.scan()
		if err != nil {
			ts.indexErr = err
			return
		}
		ts.ix = ix
		ts.offerIndex(ix)
	})
	return ts.ix, ts.indexErr
}

// offerIndex keeps what scan made for the next process. Which .dwo files there are
// is not a matter of the image's content.
func (ts *Types) offerIndex(ix *scanned) {
	if !ts.d.HasSplit() {
		ts.keepIndex(ix)
	}
}

// scan reads the top level of every unit, on all processors. A malformed unit
// ends at the fault; only if no unit could be read it is an error.
func (ts *Types) scan() (*scanned, error) {
	units := ts.d.FullUnits()
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
				tops[i] = top{all.entries[from:], all.hashes[from:], all.enumTypes, err}
				all.enumTypes = nil
			}
		})
	}
	wg.Wait()
	ix := &scanned{tops: tops}
	var firstErr error
	total := 0
	for i := range tops {
		total += len(tops[i].entries)
		ix.enums = append(ix.enums, tops[i].enumTypes...)
		if tops[i].err != nil && firstErr == nil {
			firstErr = fmt.Errorf("unit %#x: %w", units[i].Offset, tops[i].err)
		}
	}
	if total == 0 && firstErr != nil {
		return nil, firstErr
	}
	return ix, nil
}

// top is the top level of one unit: entries and the hashes of their names.
type top struct {
	entries   []named
	hashes    []uint32
	enumTypes []uint64
	err       error
}

// topAttrs is what scanUnit looks at.
var topAttrs = dies.Only(dwarf.AttrName, dwarf.AttrDeclaration, dwarf.AttrExternal, dwarf.AttrAbstractOrigin, dwarf.AttrSpecification)

func (ts *Types) scanUnit(out *top, u *dies.Unit) error {
	u, err := u.Full()
	if err != nil {
		return err
	}
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
		n := named{off: e.Off, raw: name, class: c, decl: e.Flag(dwarf.AttrDeclaration), external: e.Flag(dwarf.AttrExternal)}
		if len(name) == 0 && (c == classVar || c == classFunc) {
			// A definition of something declared before names that.
			if o := ts.origin(e); o != nil {
				name = ts.d.NameBytes(o)
				n.raw = name
				n.external = n.external || o.Flag(dwarf.AttrExternal)
			}
		}
		if len(name) == 0 {
			continue
		}
		out.entries = append(out.entries, n)
		out.hashes = append(out.hashes, hashOf(name))
	}
	return it.Err()
}

// hashOf is FNV-1a.
func hashOf[T string | []byte](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

func (ix *scanned) each(name string, c class, f func(n *named) bool) {
	for t := range ix.tops {
		if !ix.tops[t].each(name, c, f) {
			return
		}
	}
}

// each is that of index for one unit; it returns whether to go on.
func (t *top) each(name string, c class, f func(n *named) bool) bool {
	want := hashOf(name)
	for i, h := range t.hashes {
		if n := &t.entries[i]; h == want && n.class == c && string(n.raw) == name && !f(n) {
			return false
		}
	}
	return true
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
		for _, off := range ix.enumTypes() {
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
