package unikraft

import (
	"context"

	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Saved is what an x86 trap saved that call frame information does not describe.
type Saved struct {
	// Pushed is the word at the place of the error code: one only if the vector
	// pushes it.
	Pushed uint64
	// Regs has the flags and segments.
	Regs target.Regs
}

// x86Unwound are the members of struct __regs no unwinder restores.
var x86Unwound = [...]struct {
	name string
	num  int
}{{"eflags", arch.X86RFLAGS}, {"cs", arch.X86CS}, {"ss", arch.X86SS}}

// TrapSaved reads the struct __regs that the entry code of a trap, the last
// frame of handler, pushed on x86: at that frame's stack pointer while the
// handler runs. It counts only if it holds the program counter and the stack
// pointer of the frame the trap interrupted.
func (k *Kernel) TrapSaved(ctx context.Context, handler []unwind.Frame, interrupted *unwind.Frame) (Saved, bool) {
	s := Saved{Regs: target.NewRegs(k.arch.arch)}
	l := &layouter{img: k.cfg.Image}
	pushed, rip, rsp := l.required("__regs", "orig_rax"), l.required("__regs", "rip"), l.required("__regs", "rsp")
	size := l.size("__regs")
	if k.arch.arch != arch.X86_64 || len(handler) == 0 || len(l.missing) > 0 || size == 0 {
		return s, false
	}
	b := make([]byte, size)
	if target.ReadFull(ctx, k.cfg.Memory, b, handler[len(handler)-1].Regs.SP()) != nil {
		return s, false
	}
	pc, _ := rip.get(b)
	sp, _ := rsp.get(b)
	if pc != interrupted.PC || sp != interrupted.Regs.SP() {
		return s, false
	}
	for _, r := range x86Unwound {
		if v, ok := l.optional("__regs", r.name).get(b); ok {
			s.Regs.Set(r.num, v)
		}
	}
	var ok bool
	s.Pushed, ok = pushed.get(b)
	return s, ok
}
