package ukdbg

import (
	"fmt"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// object tells what an address belongs to, nil if that is not known or of no
// interest, as the page at 0.
func (x *explainer) object(at asserts.Word) *asserts.Object {
	if !at.Known || at.V < nearNull {
		return nil
	}
	if o := x.local(at.V); o != nil {
		return o
	}
	if x.thread == nil {
		w := &ownerSearch{s: x.s, Owner: Owner{Addr: at.V}}
		w.image()
		return x.owned(w.Owner)
	}
	o, err := x.s.Owner(x.ctx, at.V)
	if err != nil || len(o.Facts) == 0 {
		return nil
	}
	if k := o.Facts[0].Kind; x.s.dump != nil && x.s.dump.Process() && (k == OwnedByNobody || k == OwnedByRAM) {
		return nil // of a process's memory little is known: that tells nothing
	}
	return x.owned(o)
}

// owned is the most telling fact about an address as an object.
func (x *explainer) owned(o Owner) *asserts.Object {
	if len(o.Facts) == 0 {
		return nil
	}
	f := o.Facts[0]
	out := &asserts.Object{Kind: string(f.Kind), Name: f.Name, Text: f.Text, Addr: f.First, Offset: int64(f.Offset(o.Addr))}
	if f.Last >= f.First && f.Last != 0 {
		out.Size = f.Last - f.First + 1
	}
	if f.First == 0 {
		out.Offset = 0
	}
	if f.Kind == OwnedBySymbol || f.Kind == OwnedBySection {
		out.Section = x.s.SectionName(o.Addr)
	}
	if b := f.Block; b != nil && b.Object != 0 {
		out.Addr, out.Size, out.Offset = b.Object, b.Asked, int64(o.Addr-b.Object)
	}
	return out
}

// local is the variable of a function of the faulting stack.
func (x *explainer) local(addr uint64) *asserts.Object {
	for i := range x.frames {
		fr := &x.frames[i]
		if fr.CFA == 0 || addr >= fr.CFA || addr < fr.Regs.SP() {
			continue
		}
		find, _, ok := x.finder(i)
		if !ok {
			return nil
		}
		var o *asserts.Object
		find.Locals(fr.LookupPC, func(l ctype.Local, f *ctype.Frame) bool {
			v := l.Value(find.Reader, f)
			n := l.Type.Size()
			if l.Static || v.Lval != ctype.InMemory || n <= 0 || addr-v.Addr >= uint64(n) {
				return true
			}
			name, _ := x.function(i)
			o = &asserts.Object{
				Kind: "variable", Name: l.Name, Addr: v.Addr, Size: uint64(n), Offset: int64(addr - v.Addr),
				Text: fmt.Sprintf("%s, a variable of %s on the stack", l.Name, name),
			}
			return false
		})
		return o
	}
	return nil
}

// hasTrace reports whether the image has a trace buffer.
func (s *Session) hasTrace() bool {
	if s.kernel == nil {
		return false
	}
	_, err := s.kernel.TraceBuffer()
	return err == nil
}
