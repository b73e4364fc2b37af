package ukdbg

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// guardReach is how far below a stack its guard page is looked for.
const guardReach = 4096

// object tells what an address belongs to, nil if that is not known.
func (x *explainer) object(at asserts.Word) *asserts.Object {
	if !at.Known || at.V < nearNull {
		return nil
	}
	addr := at.V
	if o := x.local(addr); o != nil {
		return o
	}
	if o := x.imageObject(addr); o != nil {
		return o
	}
	if o := x.stackObject(addr); o != nil {
		return o
	}
	return nil
}

// imageObject is the variable, function or section of the image.
func (x *explainer) imageObject(addr uint64) *asserts.Object {
	s := x.s
	if s.image == nil {
		return nil
	}
	section, in := s.image.SectionAt(s.mapping.Link(addr))
	sym, ok := s.image.Symbol(s.mapping.Link(addr))
	if !in || !ok {
		if !in {
			return nil
		}
		return &asserts.Object{Kind: asserts.ObjectSection, Name: section.Name, Section: section.Name, Addr: s.mapping.Run(section.Addr),
			Size: section.Size, Offset: int64(s.mapping.Link(addr) - section.Addr), Text: "section " + section.Name}
	}
	name, off, _ := s.Symbolize(addr)
	o := &asserts.Object{Kind: asserts.ObjectVariable, Name: name, Section: section.Name, Addr: addr - off, Size: sym.Size, Offset: int64(off)}
	if section.Code() {
		o.Kind = asserts.ObjectFunction
	}
	o.Text = name
	if off != 0 {
		o.Text += fmt.Sprintf("+%#x", off)
	}
	what := string(o.Kind)
	if !section.Code() && section.ReadOnly() {
		what = "read-only data"
	}
	o.Text = fmt.Sprintf("%s (%s of %d bytes, section %s)", o.Text, what, sym.Size, section.Name)
	return o
}

// stackObject is a thread's stack, or the hole below one.
func (x *explainer) stackObject(addr uint64) *asserts.Object {
	if x.thread == nil {
		return nil
	}
	threads, err := x.s.Threads(x.ctx)
	if err != nil {
		return nil
	}
	for _, t := range threads {
		if t.Stack == 0 {
			continue
		}
		if addr < t.Stack && t.Stack-addr <= guardReach {
			return &asserts.Object{Kind: asserts.ObjectGuard, Name: t.Name, Addr: t.Stack - guardReach, Size: guardReach,
				Offset: int64(addr - (t.Stack - guardReach)),
				Text:   fmt.Sprintf("the guard page below the stack of thread %s, %d bytes below its end", t.Name, t.Stack-addr)}
		}
		top := x.s.stackTop(x.ctx, t)
		if addr >= t.Stack && addr < top {
			return &asserts.Object{Kind: asserts.ObjectStack, Name: t.Name, Addr: t.Stack, Size: top - t.Stack, Offset: int64(addr - t.Stack),
				Text: fmt.Sprintf("the stack of thread %s (%#x to %#x)", t.Name, t.Stack, top-1)}
		}
	}
	return nil
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
			o = &asserts.Object{Kind: asserts.ObjectLocal, Name: l.Name, Addr: v.Addr, Size: uint64(n), Offset: int64(addr - v.Addr),
				Text: fmt.Sprintf("%s, a variable of %s on the stack", l.Name, name)}
			return false
		})
		return o
	}
	return nil
}

// stackTop is the end of a thread's stack as far as its frames reach, exclusive.
func (s *Session) stackTop(ctx context.Context, t Thread) uint64 {
	frames, _ := s.unwind(ctx, t) // what was found before an error counts
	if len(frames) == 0 {
		return 0
	}
	return frames[len(frames)-1].CFA
}

// hasTrace reports whether the image has a trace buffer.
func (s *Session) hasTrace() bool {
	if s.kernel == nil {
		return false
	}
	_, err := s.kernel.TraceBuffer()
	return err == nil
}
