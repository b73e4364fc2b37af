package dies

import (
	"debug/dwarf"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Outline tells where the functions of a unit are, without what is inlined into
// them: to find one function, the others are passed over.
type Outline struct {
	// Spans says to which function code belongs; Span.Func indexes DIEs.
	Spans []Span
	// DIEs are the offsets of the functions' entries.
	DIEs []uint64
	// Err is the damage that ended the reading early, nil if none.
	Err error

	ranges []Range
	pieces []piece
}

// Find returns the index in DIEs of the function at addr, -1 if none.
func (o *Outline) Find(addr uint64) int { return findSpan(o.Spans, addr) }

// isC tells languages whose structs hold no functions (DWARF 5, table 7.17).
func isC(language uint64) bool {
	switch language {
	case 0x01, 0x02, 0x0c, 0x1d, 0x2c, 0x8001: // C89, C, C99, C11, C17, assembly
		return true
	}
	return false
}

// Outline reads the outline of the unit into o, which may have been used before.
// That of a skeleton is in its .dwo file.
// A function inside another, as GNU C allows, is not in it: those are found by
// Functions alone.
func (u *Unit) Outline(o *Outline) {
	*o = Outline{Spans: o.Spans[:0], DIEs: o.DIEs[:0], ranges: o.ranges[:0], pieces: o.pieces[:0]}
	var full *Unit
	if full, o.Err = u.Full(); o.Err == nil {
		o.Err = full.outline(o)
	}
	o.Spans = flatten(o.pieces, o.Spans)
}

func (u *Unit) outline(o *Outline) error {
	c := isC(u.info.Language)
	r := u.reader(u.First)
	left := u.wholeBudget()
	for depth := 0; r.Len() > 0; {
		die := u.src.base + r.Offset()
		code := r.Uleb()
		if code == 0 {
			if depth == 0 {
				break // padding
			}
			depth--
			continue
		}
		a := u.abbrevs.find(code)
		if a == nil {
			return errEntries
		}
		enter := a.children
		switch a.tag {
		case dwarf.TagSubprogram:
			next := u.outlined(&r, a, die, o, &left)
			if enter && !u.skipChildren(&r, next) {
				return errEntries
			}
			enter = false
		case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagClassType, dwarf.TagInterfaceType:
			if enter && c {
				if !u.passWhole(&r, a, die) {
					return errEntries
				}
				enter = false
			} else {
				u.pass(&r, a)
			}
		case dwarf.TagEnumerationType, dwarf.TagArrayType, dwarf.TagSubroutineType:
			if enter {
				if !u.passWhole(&r, a, die) {
					return errEntries
				}
				enter = false
			} else {
				u.pass(&r, a)
			}
		default:
			u.pass(&r, a)
		}
		if r.Failed() {
			return errEntries
		}
		if enter {
			depth++
		}
	}
	return nil
}

// outlined reads a function, and returns its DW_AT_sibling, 0 if it has none that
// leads forward.
func (u *Unit) outlined(r *dwbuf.Reader, a *abbrev, die uint64, o *Outline, left *budget) (next uint64) {
	var p pcs
	for _, f := range u.abbrevs.of(a) {
		v := u.value(r, f)
		if v.Attr == dwarf.AttrSibling {
			if u.isSibling(die, &v) {
				next = v.U
			}
			continue
		}
		p.take(u, &v)
	}
	first := len(o.ranges)
	o.ranges = u.rangesOf(p, o.ranges, left)
	for _, run := range o.ranges[first:] {
		o.pieces = append(o.pieces, piece{run, int32(len(o.DIEs))})
	}
	if len(o.ranges) > first {
		o.DIEs = append(o.DIEs, die)
	}
	return next
}

// passWhole moves r, behind the code of the entry at die, past its values and all
// entries inside it.
func (u *Unit) passWhole(r *dwbuf.Reader, a *abbrev, die uint64) bool {
	if !a.sibling {
		u.pass(r, a)
		return u.passTree(r)
	}
	next := uint64(0)
	for _, f := range u.abbrevs.of(a) {
		if dwarf.Attr(f.attr) == dwarf.AttrSibling {
			if v := u.value(r, f); u.isSibling(die, &v) {
				next = v.U
				break // what is left of the entry is passed over with the rest
			}
			continue
		}
		u.skipField(r, f)
	}
	return u.skipChildren(r, next)
}

// skipChildren moves r, somewhere in an entry or behind it, to next, or where
// that is 0 past the entries inside.
func (u *Unit) skipChildren(r *dwbuf.Reader, next uint64) bool {
	if next == 0 {
		return u.passTree(r)
	}
	if off := next - u.src.base; off >= r.Offset() {
		r.Seek(off)
		return !r.Failed()
	}
	return false
}

// skipField moves r behind one value.
func (u *Unit) skipField(r *dwbuf.Reader, f field) {
	switch {
	case form(f.form) == formImplicitConst:
	case f.arg >= 0:
		r.Skip(uint64(f.arg))
	default:
		form(f.form).skip(r, u.format)
	}
}

// ReadFunction reads the function whose entry is at die, with what is inlined
// into it and functions inside it, into t, which may have been used before.
func (u *Unit) ReadFunction(die uint64, t *FuncTable) {
	t.reset()
	var full *Unit
	if full, t.Err = u.Full(); t.Err != nil || !full.holds(die) {
		return
	}
	t.Err = full.scan(die, t)
	t.flatten()
}

// found is what FuncAt remembers of a unit.
type found struct {
	once    sync.Once
	outline Outline
	mu      sync.Mutex
	tables  map[uint64]*FuncTable // by the function's entry
}

// FuncAt returns the innermost function at addr, as an index in the table of the
// function that really is there; -1 if there is none. What was read is kept.
func (u *Unit) FuncAt(addr uint64) (*FuncTable, int) {
	f := &u.found
	f.once.Do(func() { u.Outline(&f.outline) })
	i := f.outline.Find(addr)
	if i < 0 {
		return nil, -1
	}
	die := f.outline.DIEs[i]
	f.mu.Lock()
	t := f.tables[die]
	f.mu.Unlock()
	if t == nil {
		t = &FuncTable{}
		u.ReadFunction(die, t)
		t.open, t.pieces = nil, nil
		f.mu.Lock()
		if have := f.tables[die]; have != nil {
			t = have
		} else {
			if f.tables == nil {
				f.tables = map[uint64]*FuncTable{}
			}
			f.tables[die] = t
		}
		f.mu.Unlock()
	}
	if i := t.Find(addr); i >= 0 {
		return t, i
	}
	return nil, -1
}
