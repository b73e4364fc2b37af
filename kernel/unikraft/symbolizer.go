package unikraft

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target/arch"
)

// elfImage is an Image made of an ELF image and its types.
type elfImage struct {
	img   *symbolizer.Image
	types *ctype.Types
	// waits is looked for once: it goes through every variable of the image.
	waits func() []WaitObject
}

// FromSymbolizer makes an Image of an ELF image. Types is nil for an image
// without DWARF, of which only symbols can be told.
func FromSymbolizer(img *symbolizer.Image, types *ctype.Types) Image {
	e := &elfImage{img: img, types: types}
	e.waits = sync.OnceValue(e.findWaits)
	return e
}

func (e *elfImage) Arch() *arch.Arch { return e.img.Arch() }

func (e *elfImage) SymbolByName(name string) (addr, size uint64, ok bool) {
	s, ok := e.img.SymbolByName(name)
	return s.Addr, s.Size, ok
}

func (e *elfImage) SymbolAt(addr uint64) (name string, off uint64, ok bool) {
	s, ok := e.img.Symbol(addr)
	return s.Name, addr - s.Addr, ok
}

func (e *elfImage) structure(name string) (*ctype.Type, error) {
	if e.types == nil {
		return nil, fmt.Errorf("struct %s: %w", name, symbolizer.ErrNoDWARF)
	}
	t, err := e.types.Lookup("struct " + name)
	if err != nil {
		// A struct without a tag has the name of its typedef.
		if named, nerr := e.types.Lookup(name); nerr == nil && named.Strip().Kind == ctype.Struct {
			return named.Strip(), nil
		}
	}
	return t, err
}

func (e *elfImage) Field(structure, path string) (off, size uint64, err error) {
	t, err := e.structure(structure)
	if err != nil {
		return 0, 0, err
	}
	f, err := fieldOf(t, path)
	if err != nil {
		return 0, 0, err
	}
	return uint64(f.Offset), uint64(f.Type.Size()), nil
}

func (e *elfImage) SizeOf(structure string) (uint64, error) {
	t, err := e.structure(structure)
	if err != nil {
		return 0, err
	}
	return uint64(t.Size()), nil
}

func (e *elfImage) ReadOnlyData() []byte { return e.img.Section(".rodata") }

// Macro looks for the definition's text among the debugging strings, where
// DW_MACRO_define_strp points (DWARF 5, section 6.3.2.1): "NAME value".
func (e *elfImage) Macro(name string) (string, bool) {
	strs := e.img.Section(".debug_str")
	i := bytes.Index(strs, []byte("\x00"+name+" "))
	if i < 0 {
		return "", false
	}
	value, _, ok := bytes.Cut(strs[i+len(name)+2:], []byte{0})
	return string(bytes.Trim(value, `"`)), ok && len(value) > 0
}

// waitKinds are the structs that hold a wait queue people name, by the path of
// the queue and of the owner in them.
var waitKinds = map[string]struct{ kind, queue, owner string }{
	"uk_mutex":     {"mutex", "wait", "owner"},
	"uk_semaphore": {"semaphore", "wait", ""},
	"uk_waitq":     {"wait queue", "", ""},
}

const (
	maxNesting  = 6
	maxElements = 64
)

// WaitObjects looks through the variables at file scope and their members.
func (e *elfImage) WaitObjects() []WaitObject { return e.waits() }

func (e *elfImage) findWaits() []WaitObject {
	if e.types == nil {
		return nil
	}
	if all, ok := decodeWaits(e.img.Cached(keptWaits)); ok {
		return all
	}
	vars, err := e.types.Globals()
	if err != nil {
		return nil
	}
	f := waitFinder{holds: map[*ctype.Type]bool{}}
	for _, v := range vars {
		if v.HasAddr && v.Type != nil {
			f.look(v.Name, v.Type, v.Addr, 0)
		}
	}
	e.img.Keep(keptWaits, func() []byte { return encodeWaits(f.out) })
	return f.out
}

// waitFinder collects wait queues; holds remembers which types contain one.
type waitFinder struct {
	out   []WaitObject
	holds map[*ctype.Type]bool
}

func (f *waitFinder) look(name string, t *ctype.Type, addr uint64, depth int) {
	t = t.Strip()
	if len(f.out) > maxQueues || !f.contains(t, depth) {
		return
	}
	switch t.Kind {
	case ctype.Array:
		elem := t.Elem()
		for i := range min(t.Count(), maxElements) {
			f.look(fmt.Sprintf("%s[%d]", name, i), elem, addr+uint64(i*elem.Size()), depth+1)
		}
	case ctype.Struct, ctype.Union:
		if f.known(name, t, addr) {
			return
		}
		for _, m := range t.Fields() {
			sub := name
			if m.Name != "" {
				sub += "." + m.Name
			}
			f.look(sub, m.Type, addr+uint64(m.Offset), depth+1)
		}
	}
}

// known records t if it is one of waitKinds.
func (f *waitFinder) known(name string, t *ctype.Type, addr uint64) bool {
	k, ok := waitKinds[t.Name]
	if !ok || t.Kind != ctype.Struct {
		return false
	}
	o := WaitObject{Name: name, Kind: k.kind, Addr: addr, Queue: addr}
	if k.queue != "" {
		q, err := fieldOf(t, k.queue)
		if err != nil {
			return false
		}
		o.Queue += uint64(q.Offset)
	}
	if k.owner != "" {
		if m, err := fieldOf(t, k.owner); err == nil {
			o.Owner = addr + uint64(m.Offset)
		}
	}
	f.out = append(f.out, o)
	return true
}

// contains tells whether a type is or holds a wait queue.
func (f *waitFinder) contains(t *ctype.Type, depth int) bool {
	if depth > maxNesting {
		return false
	}
	t = t.Strip()
	if v, ok := f.holds[t]; ok {
		return v
	}
	found := false
	switch t.Kind {
	case ctype.Array:
		found = f.contains(t.Elem(), depth+1)
	case ctype.Struct, ctype.Union:
		_, found = waitKinds[t.Name]
		for _, m := range t.Fields() {
			if found {
				break
			}
			found = f.contains(m.Type, depth+1)
		}
	}
	f.holds[t] = found
	return found
}

// fieldOf finds a member of a member: "ctx.ip".
func fieldOf(t *ctype.Type, path string) (ctype.Field, error) {
	off, err := t.Offset(path)
	if err != nil {
		return ctype.Field{}, err
	}
	var f ctype.Field
	for path != "" {
		name, rest, _ := strings.Cut(path, ".")
		f, _ = t.Strip().Field(name)
		if f.Type == nil {
			return f, fmt.Errorf("%s has no member %s", t, name)
		}
		t, path = f.Type, rest
	}
	f.Offset = off
	return f, nil
}
