package origin

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target/insn"
)

// memory names the object a memory operand of instruction at stands for.
func (x *Finder) memory(m insn.Mem, at, depth int) (Named, bool) {
	if depth > maxDepth || m.Segment {
		return Named{}, false
	}
	if m.Base == insn.NoReg {
		// An absolute address, or a table at one.
		g, ok := x.global(uint64(m.Disp))
		if !ok {
			return Named{}, false
		}
		return x.within(g, m, 0, at, depth)
	}
	if n, ok := x.onStack(m, at); ok {
		return n, true
	}
	base, ok := x.register(m.Base, at, depth+1)
	if !ok {
		return Named{}, false
	}
	if base.Const {
		return x.absolute(base, m, at, depth)
	}
	return x.within(base, m, m.Disp, at, depth)
}

// absolute names memory at a constant address plus a displacement.
func (x *Finder) absolute(base Named, m insn.Mem, at, depth int) (Named, bool) {
	g, ok := x.global(base.Value + uint64(m.Disp))
	if !ok {
		return Named{}, false
	}
	return x.within(g, m, 0, at, depth)
}

// within names the member of what base points to.
func (x *Finder) within(base Named, m insn.Mem, disp int64, at, depth int) (Named, bool) {
	elem := base.Elem()
	n := Named{}
	if v, ok := x.address(m, at); ok {
		n.Held, n.HeldKnown = v, true
	}
	if elem == nil || elem.Strip().Kind == ctype.Void || elem.Strip().Kind == ctype.Func {
		if disp != 0 || m.Index != insn.NoReg {
			return Named{}, false
		}
		n.Text = "*" + base.Text
		return n, true
	}
	if m.Index != insn.NoReg {
		return x.indexed(n, base, elem, m, disp, at, depth)
	}
	path, t, ok := Member(elem, disp, m.Size)
	if !ok {
		return Named{}, false
	}
	n.Type = t
	n.Text = base.join(path)
	return n, true
}

// indexed names an element of an array.
func (x *Finder) indexed(n, base Named, elem *ctype.Type, m insn.Mem, disp int64, at, depth int) (Named, bool) {
	index := "…"
	if i, ok := x.register(m.Index, at, depth+1); ok {
		index = i.Text
	}
	size := elem.Size()
	if size == 1<<m.Shift && disp%size == 0 {
		if disp != 0 {
			index = fmt.Sprintf("%s%+d", index, disp/size)
		}
		n.Type, n.Text = elem, base.deref()+"["+index+"]"
		return n, true
	}
	path, t, ok := Member(elem, disp, 0)
	if !ok || t.Strip().Kind != ctype.Array {
		return Named{}, false
	}
	n.Type, n.Text = t.Strip().Elem(), base.join(path)+"["+index+"]"
	return n, true
}

// join puts a member's path behind a pointer: "p->a.b", "x.a" for &x, "*p" for
// what a pointer to no struct points to.
func (n Named) join(path string) string {
	object, address := strings.CutPrefix(n.Text, "&")
	switch {
	case path == "" && address:
		return object
	case path == "":
		return "*" + n.Text
	case path[0] == '[':
		return n.deref() + path
	case address:
		return object + "." + path
	}
	return n.Text + "->" + path
}

// deref is the text to put an index behind.
func (n Named) deref() string {
	if object, ok := strings.CutPrefix(n.Text, "&"); ok && !n.Const {
		return "(&" + object + ")"
	} else if ok {
		return object
	}
	return n.Text
}

// Member names what lies off bytes into a type: "lock.owner", "[3]", "" for the
// object itself. Size is how many bytes are used there, 0 if only the address
// is. ok is false if nothing does, as behind its end.
func Member(t *ctype.Type, off int64, size int) (path string, member *ctype.Type, ok bool) {
	for depth := 0; depth < maxDepth; depth++ {
		s := t.Strip()
		if off < 0 || s.Size() > 0 && off >= s.Size() && depth > 0 {
			return "", nil, false
		}
		switch s.Kind {
		case ctype.Struct, ctype.Union:
			if off == 0 && (size == 0 || int64(size) == s.Size() && s.Size() > 16) {
				return path, t, true
			}
			f, found := fieldAt(s, off, size)
			if !found {
				return "", nil, false
			}
			if f.Name != "" {
				if path != "" {
					path += "."
				}
				path += f.Name
			}
			t, off = f.Type, off-f.Offset
			if f.BitSize > 0 {
				return path, t, true
			}
		case ctype.Array:
			elem := s.Elem()
			n := elem.Size()
			if n <= 0 || size == 0 && off == 0 {
				return path, t, off == 0
			}
			path += fmt.Sprintf("[%d]", off/n)
			t, off = elem, off%n
		default:
			if depth == 0 && s.Size() > 0 && off != 0 && off%s.Size() == 0 {
				return fmt.Sprintf("[%d]", off/s.Size()), t, true // p[3]
			}
			return path, t, off >= 0 && off < max(s.Size(), 1)
		}
	}
	return "", nil, false
}

// fieldAt finds the member at an offset, in a union the one of the size used.
func fieldAt(t *ctype.Type, off int64, size int) (ctype.Field, bool) {
	var best ctype.Field
	found := false
	for _, f := range t.Fields() {
		n := f.Type.Size()
		if off < f.Offset || off >= f.Offset+max(n, 1) {
			continue
		}
		if !found || f.BitSize == 0 && n == int64(size) && f.Offset == off && best.Type.Size() != int64(size) {
			best, found = f, true
		}
	}
	return best, found
}

func hex(v uint64) string { return fmt.Sprintf("%#x", v) }
