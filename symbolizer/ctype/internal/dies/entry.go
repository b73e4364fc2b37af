package dies

import "debug/dwarf"

// Attributes debug/dwarf has no exported name for, or that are used here only.
const (
	attrLowPC          = dwarf.AttrLowpc
	attrStrOffsetsBase = dwarf.AttrStrOffsetsBase
	attrAddrBase       = dwarf.AttrAddrBase
	attrRnglistsBase   = dwarf.AttrRnglistsBase
	attrLoclistsBase   = dwarf.AttrLoclistsBase
	attrGNUAddrBase    = dwarf.Attr(0x2133)
)

// Attr is one attribute of an entry. Numbers, offsets, flags and indices are in
// U (signed ones in two's complement), blocks, expressions and inline strings in
// B, which points into the image and must not be changed.
type Attr struct {
	Attr dwarf.Attr
	U    uint64
	B    []byte
	form form
}

// IsBlock reports whether the value is a block or an expression.
func (a *Attr) IsBlock() bool {
	switch a.form {
	case formBlock, formBlock1, formBlock2, formBlock4, formExprloc:
		return true
	}
	return false
}

// IsReference reports whether the value is the offset of an entry, which
// Data.Ref returns.
func (a *Attr) IsReference() bool {
	switch a.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata, formRefAddr, formRefSig8:
		return true
	}
	return false
}

// IsString reports whether the value is a string, which Data.String returns.
func (a *Attr) IsString() bool {
	switch a.form {
	case formString, formStrp, formLineStrp, formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		return true
	}
	return false
}

// IsConstant reports whether U is a number in itself.
func (a *Attr) IsConstant() bool {
	switch a.form {
	case formData1, formData2, formData4, formData8, formSdata, formUdata, formImplicitConst:
		return true
	}
	return false
}

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
	u, err := d.UnitAt(off)
	if err != nil {
		return nil, err
	}
	if _, err := d.Root(u); err != nil {
		return nil, err
	}
	e := &Entry{}
	if err := d.read(e, u, off); err != nil {
		return nil, err
	}
	if e.Tag == 0 {
		return nil, infoError(off, "a null entry where one is referred to")
	}
	return e, nil
}

// read decodes the entry at off into e, reusing its attributes' storage; a null
// entry has Tag 0.
func (d *Data) read(e *Entry, u *Unit, off uint64) error { return d.readOnly(e, u, off, nil) }

// readOnly is read for the attributes in want alone, nil for all.
func (d *Data) readOnly(e *Entry, u *Unit, off uint64, want *Want) error {
	c := cursor{b: d.info[:u.End], off: off}
	code := c.uleb()
	*e = Entry{Unit: u, Off: off, Attrs: e.Attrs[:0]}
	if code == 0 {
		e.next = c.off
		if c.bad {
			return infoError(off, "entry is cut off")
		}
		return nil
	}
	ab := u.tab.get(code)
	if ab == nil {
		return infoError(off, "abbreviation %d is not declared", code)
	}
	e.Tag, e.Children = ab.tag, ab.children
	fields := u.tab.of(ab)
	if cap(e.Attrs) < len(fields) && want == nil {
		e.Attrs = make([]Attr, 0, len(fields))
	}
	for _, f := range fields {
		if want != nil && !want.has(f.attr) {
			if !u.skip(&c, form(f.form)) {
				return infoError(off, "unknown form %#x", f.form)
			}
			continue
		}
		a, ok := u.value(&c, f)
		if !ok {
			return infoError(off, "unknown form %#x", uint32(a.form))
		}
		if c.bad {
			return infoError(off, "entry is cut off")
		}
		e.Attrs = append(e.Attrs, a)
	}
	if c.bad {
		return infoError(off, "entry is cut off")
	}
	e.next = c.off
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

// Iter walks the direct children of an entry.
type Iter struct {
	d    *Data
	u    *Unit
	off  uint64
	e    Entry
	err  error
	done bool
	want *Want
}

// Children returns an iterator over the direct children of e.
func (d *Data) Children(e *Entry) *Iter {
	return &Iter{d: d, u: e.Unit, off: e.next, done: !e.Children}
}

// ChildrenOnly is Children with no attributes decoded but those in want.
func (d *Data) ChildrenOnly(e *Entry, want *Want) *Iter {
	it := d.Children(e)
	it.want = want
	return it
}

// Next steps to the next child; it reports false at the end or on an error.
func (it *Iter) Next() bool {
	if it.done {
		return false
	}
	if it.e.Tag != 0 {
		it.off, it.err = it.d.after(&it.e)
	}
	if it.err == nil && it.off < it.u.End {
		it.err = it.d.readOnly(&it.e, it.u, it.off, it.want)
	}
	if it.err != nil || it.off >= it.u.End || it.e.Tag == 0 {
		it.done = true
		return false
	}
	return true
}

// Entry returns the current child. Next overwrites it and its attributes.
func (it *Iter) Entry() *Entry { return &it.e }

// Err returns the error that ended the walk, or nil.
func (it *Iter) Err() error { return it.err }

// after returns the offset of what follows e and all its descendants.
func (d *Data) after(e *Entry) (uint64, error) {
	if !e.Children {
		return e.next, nil
	}
	if a := e.Attr(dwarf.AttrSibling); a != nil && a.IsReference() && a.U > e.Off && a.U <= e.Unit.End {
		return a.U, nil
	}
	return d.skipTree(e.Unit, e.next)
}

// skipTree returns the offset after the list of children that starts at off.
func (d *Data) skipTree(u *Unit, off uint64) (uint64, error) {
	c := cursor{b: d.info[:u.End], off: off}
	for depth := 1; depth > 0; {
		start := c.off
		// Some producers drop the trailing null entries of a unit.
		if start == u.End {
			return start, nil
		}
		code := c.uleb()
		if code == 0 {
			depth--
			if c.bad {
				return 0, infoError(start, "entry is cut off")
			}
			continue
		}
		ab := u.tab.get(code)
		if ab == nil {
			return 0, infoError(start, "abbreviation %d is not declared", code)
		}
		for _, f := range u.tab.of(ab) {
			if !u.skip(&c, form(f.form)) {
				return 0, infoError(start, "unknown form %#x", f.form)
			}
		}
		if c.bad {
			return 0, infoError(start, "entry is cut off")
		}
		if ab.children {
			depth++
		}
	}
	return c.off, nil
}
