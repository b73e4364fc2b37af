package dies

import (
	"debug/dwarf"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Iter walks the direct children of an entry.
type Iter struct {
	u    *Unit
	off  uint64
	e    Entry
	err  error
	done bool
	want *Want
}

// Children returns an iterator over the direct children of e.
func (d *Data) Children(e *Entry) *Iter {
	return &Iter{u: e.Unit, off: e.next, done: !e.Children}
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
		it.off, it.err = it.u.after(&it.e)
	}
	if it.err == nil && it.off < it.u.End {
		it.err = it.u.read(&it.e, it.off, it.want)
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
func (u *Unit) after(e *Entry) (uint64, error) {
	if !e.Children {
		return e.next, nil
	}
	if a := e.Attr(dwarf.AttrSibling); a != nil && u.isSibling(e.Off, a) {
		return a.U, nil
	}
	r := u.reader(e.next)
	if !u.passTree(&r) {
		return 0, infoError(e.Off, "the entries inside are damaged")
	}
	return u.src.base + r.Offset(), nil
}

// isSibling reports whether a DW_AT_sibling of the entry at off leads forward,
// so that following it ends.
func (u *Unit) isSibling(off uint64, a *Attr) bool {
	return a.IsReference() && a.U > off && a.U <= u.End
}

// passTree moves r behind a list of children and their descendants; it reports
// false for damage.
func (u *Unit) passTree(r *dwbuf.Reader) bool {
	for depth := 1; depth > 0; {
		// Some producers drop the trailing null entries of a unit.
		if r.Len() == 0 {
			return !r.Failed()
		}
		code := r.Uleb()
		if code == 0 {
			depth--
			continue
		}
		a := u.abbrevs.find(code)
		if a == nil {
			return false
		}
		u.pass(r, a)
		if a.children {
			depth++
		}
	}
	return !r.Failed()
}
