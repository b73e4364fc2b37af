package ctype

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Image is what this package needs of an ELF image: a section's contents,
// decompressed, or nil where there is none.
type Image interface {
	Section(name string) []byte
}

// ErrNoDebugInfo says that the image carries no DWARF.
var ErrNoDebugInfo = errors.New("no DWARF debugging information (.debug_info is missing)")

// Types gives the types and variables of one image. It may be used by several
// goroutines at once.
type Types struct {
	d *dies.Data
	// disk keeps the index for the next process, nil if nothing does.
	disk cache
	// section gives a section of the image.
	section func(name string) []byte

	indexOnce sync.Once
	ix        index
	indexErr  error

	// once keeps what entersOnce found, by the offset of a function's entry.
	once sync.Map

	enumOnce sync.Once
	enums    map[string]enumRef

	mu    sync.Mutex
	cache map[uint64]*Type
	void  *Type
}

// New prepares the types of an image. It reads unit headers only.
func New(img Image) (*Types, error) {
	d, err := entries(img)
	if err != nil {
		return nil, err
	}
	t := &Types{d: d, section: img.Section, cache: make(map[uint64]*Type)}
	t.disk, _ = img.(cache)
	t.void = &Type{Kind: Void, Name: "void", ts: t, size: 1}
	return t, nil
}

// entries returns the entries of an image: those it has opened itself, if it can
// say, or its sections'.
func entries(img Image) (*dies.Data, error) {
	if im, ok := img.(interface{ Entries() (*dies.Data, error) }); ok {
		return im.Entries()
	}
	d := dies.New(dies.SectionsOf(img.Section))
	if _, err := d.Units(); !d.HasUnits() {
		return nil, cmp.Or(err, ErrNoDebugInfo)
	}
	return d, nil
}

// NotFoundError says that an image has no type or variable of a name.
type NotFoundError struct {
	// What is "type", "variable", "function".
	What, Name string
	// Why adds what was found instead, "" if nothing.
	Why string
}

func (e *NotFoundError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("the image has no %s %q: %s", e.What, e.Name, e.Why)
	}
	return fmt.Sprintf("the image has no %s %q", e.What, e.Name)
}

// at returns the type an entry describes. Off 0 is void.
func (ts *Types) at(off uint64) *Type {
	if off == 0 {
		return ts.void
	}
	ts.mu.Lock()
	t := ts.cache[off]
	ts.mu.Unlock()
	if t != nil {
		return t
	}
	t = ts.build(off)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if first := ts.cache[off]; first != nil {
		return first
	}
	ts.cache[off] = t
	return t
}

// bad returns the type that stands for one that cannot be read.
func (ts *Types) bad(off uint64, err error) *Type {
	return &Type{Kind: Invalid, Name: "<unreadable type>", ts: ts, off: off, err: err}
}

// typeOf returns the type the DW_AT_type of e names.
func (ts *Types) typeOf(e *dies.Entry) *Type {
	a := e.Attr(dwarf.AttrType)
	if a == nil {
		return ts.void
	}
	off, ok := ts.d.Ref(a)
	if !ok {
		return ts.bad(e.Off, fmt.Errorf("entry %#x: its type is in a file that is not at hand", e.Off))
	}
	return ts.at(off)
}
