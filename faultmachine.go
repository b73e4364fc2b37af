package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// machineAt is the machine as it was when frame at faulted.
func (s *Session) machineAt(ctx context.Context, t Thread, frames []unwind.Frame, at int) asserts.Machine {
	m := asserts.Machine{
		Regs: frames[at].Regs, Memory: s.mem, Symbol: s.Symbolize, Section: s.SectionName,
		Thread: t.Name, Trapped: at > 0,
	}
	if sr, ok := s.machine.machine.(target.SystemRegisters); ok {
		if raw, err := sr.ReadSystemRegisters(ctx, s.stopCPU); err == nil {
			m.System = asserts.SystemValues(raw)
		}
	}
	if s.dump != nil && s.stopCPU == 0 {
		if g, ok := s.dump.Signal(); ok {
			m.Signal = asserts.Signal{Number: g.Number, Code: g.Code, Key: int(g.Key), Bare: g.Bare}
			if m.Trapped = m.Signal.IsFault(); m.Trapped && !g.Bare {
				m.Signal.Addr = asserts.Value(g.Addr)
			}
		}
	}
	m.StackLow, m.StackHigh = t.Stack, frames[len(frames)-1].CFA
	s.trapCause(ctx, &m, frames, at)
	s.endingOf(ctx, &m, frames, at)
	m.Page = s.pages(ctx)
	return m
}

// trapReader is the optional power of a kernel to tell from the frames of a
// trap's handler which trap it is and its error code.
type trapReader interface {
	TrapCause(ctx context.Context, handler []unwind.Frame) (trap, code uint64, trapOK, codeOK bool)
	// NoFault reports whether a handler handles an interrupt or a system call.
	NoFault(ctx context.Context, handler []unwind.Frame) bool
	TrapSaved(ctx context.Context, handler []unwind.Frame, interrupted *unwind.Frame) (unikraft.Saved, bool)
}

// trapCause adds what the trap saved and which trap it was.
func (s *Session) trapCause(ctx context.Context, m *asserts.Machine, frames []unwind.Frame, at int) {
	k, ok := s.kernel.(trapReader)
	if at == 0 || !ok {
		return
	}
	trap, code, known, coded := k.TrapCause(ctx, frames[:at])
	if known {
		m.Trap = asserts.Value(trap)
	}
	if coded {
		m.ErrorCode = asserts.Value(code)
	}
	saved, ok := k.TrapSaved(ctx, frames[:at], &frames[at])
	if !ok {
		return
	}
	m.Pushed = asserts.Value(saved.Pushed)
	for _, r := range s.arch.Regs {
		if v, ok := saved.Regs.Get(r.Num); ok {
			m.Regs.Set(r.Num, v)
		}
	}
}

// endingOf finds how the guest ended itself at the inner end of the stack.
func (s *Session) endingOf(ctx context.Context, m *asserts.Machine, frames []unwind.Frame, at int) {
	names := make([]string, 0, len(frames)-at)
	for i := at; i < len(frames); i++ {
		name, _, _ := s.Symbolize(frames[i].LookupPC)
		names = append(names, name)
	}
	if e, ok := asserts.FindEnding(names); ok && at+e.Depth < len(frames) {
		m.Ending = e
	}
	if s.image == nil {
		return
	}
	if flag, ok := s.image.SymbolByName("_uk_crash_explicit"); ok {
		b := make([]byte, 1)
		if target.ReadFull(ctx, s.mem, b, flag.Addr+s.mapping.Slide) == nil {
			m.Explicit = asserts.Value(uint64(b[0]))
		}
	}
}

// pages returns the reader of page attributes, nil where the page tables cannot
// be read. Only x86 has attributes a fault is explained by.
func (s *Session) pages(ctx context.Context) func(context.Context, uint64) (asserts.Page, error) {
	if s.arch != arch.X86_64 {
		return nil
	}
	root, phys, err := s.addressSpace(ctx)
	if err != nil || root.Format != mmu.X86Paging {
		return nil
	}
	return func(ctx context.Context, addr uint64) (asserts.Page, error) {
		pg, err := root.Translate(ctx, phys, addr)
		if err != nil {
			return asserts.Page{}, err
		}
		return asserts.Page{
			Present: true, Write: pg.Writable, Exec: pg.Executable, User: pg.User, Key: int(pg.Key),
		}, nil
	}
}
