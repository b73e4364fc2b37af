package dies

import "debug/dwarf"

// Entry is one debugging information entry.
type Entry struct {
	Unit     *Unit
	Off      uint64
	Tag      dwarf.Tag
	Children bool
	Attrs    []Attr
	next     uint64 // offset of the first child or of the next entry
}

// Attr returns the attribute, or nil.
func (e *Entry) Attr(a dwarf.Attr) *Attr {
	for i := range e.Attrs {
		if e.Attrs[i].Attr == a {
			return &e.Attrs[i]
		}
	}
	return nil
}

// Flag reports whether a flag attribute is present and set.
func (e *Entry) Flag(a dwarf.Attr) bool {
	v := e.Attr(a)
	return v != nil && v.U != 0
}

// Entry reads the entry at an offset.
func (d *Data) Entry(off uint64) (*Entry, error) {
	u := d.UnitOf(off)
	if u == nil {
		return nil, infoError(off, "offset lies in no unit")
	}
	if err := u.load(); err != nil {
		return nil, err
	}
	e := &Entry{}
	if err := u.read(e, off, nil); err != nil {
		return nil, err
	}
	if e.Tag == 0 {
		return nil, infoError(off, "a null entry where one is referred to")
	}
	return e, nil
}

// read decodes the entry at off into e, of its attributes those in want, nil for
// all. It uses the storage of e's attributes again; a null entry has Tag 0.
func (u *Unit) read(e *Entry, off uint64, want *Want) error {
	r := u.reader(off)
	*e = Entry{Unit: u, Off: off, Attrs: e.Attrs[:0]}
	if code := r.Uleb(); code != 0 {
		a := u.abbrevs.find(code)
		if a == nil {
			return infoError(off, "abbreviation %d is not declared", code)
		}
		e.Tag, e.Children = a.tag, a.children
		fields := u.abbrevs.of(a)
		if want == nil && cap(e.Attrs) < len(fields) {
			e.Attrs = make([]Attr, 0, len(fields))
		}
		for _, f := range fields {
			switch {
			case want == nil || want.has(f.attr):
				e.Attrs = append(e.Attrs, u.value(&r, f))
			default:
				u.skipField(&r, f)
			}
		}
	}
	if r.Failed() {
		return infoError(off, "entry is cut off or has an unknown form")
	}
	e.next = u.src.base + r.Offset()
	return nil
}

// Want is a set of attributes to decode; others are passed over, which is much
// faster. DW_AT_sibling is always in it.
type Want [2]uint64

// Only makes the set of the given attributes, which are below 0x80.
func Only(attrs ...dwarf.Attr) *Want {
	w := &Want{1 << dwarf.AttrSibling}
	for _, a := range attrs {
		w[a/64] |= 1 << (a % 64)
	}
	return w
}

func (w *Want) has(a uint16) bool { return a < 128 && w[a/64]&(1<<(a%64)) != 0 }
