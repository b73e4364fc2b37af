package unikraft

import "slices"

// switchingOut finds the thread a processor still executes after the kernel
// named the next one as current: from then until ukarch_ctx_switch changes the
// stack, it runs on the former's. It returns nil where the current thread is
// the right one, or where nothing tells.
func (s *survey) switchingOut(c *cpu) *found {
	if c.err != nil || !c.threadOK {
		return nil
	}
	current := s.known[c.thread]
	if current == nil || current.data == nil {
		return nil
	}
	name, _, _ := s.k.symbolAt(c.regs.PC())
	if slices.Contains(s.k.arch.resume, name) {
		return s.inSwitch(c, current)
	}
	return s.stackOwner(c, current)
}

// inSwitch tells who runs inside ukarch_ctx_switch(&former->ctx, &next->ctx):
// next, if the stack pointer is where its context was saved, else the former,
// which the first argument's register still names.
func (s *survey) inSwitch(c *cpu, current *found) *found {
	l := &s.k.layout
	saved, sp := l.sp.value(current.data), c.regs.SP()
	// A return address may be pushed below the context.
	if sp+8 >= saved && sp <= saved+s.k.arch.size {
		return nil
	}
	arg, ok := c.regs.Get(s.k.arch.firstArg)
	if !ok || !l.ctx.ok {
		return nil
	}
	former := s.known[arg-l.ctx.off]
	if former == nil || former.data == nil || former == current {
		return nil
	}
	return former
}

// stackOwner tells by the stack pointer, where it is surely on the stack of
// another thread than the current one. It may be on none: traps have stacks of
// their own.
func (s *survey) stackOwner(c *cpu, current *found) *found {
	sp, size := c.regs.SP(), s.stackSize()
	if ip, ok := s.k.layout.ip.get(current.data); !ok || ip == 0 || s.onStack(current, sp, size) {
		return nil // a current thread without a context cannot be waiting for the switch
	}
	for _, t := range s.order {
		if t != current && s.onStack(t, sp, size) {
			return t
		}
	}
	return nil
}

// onStack tells whether sp lies on a stack of t whose place is known. The
// auxiliary stack is one of them.
func (s *survey) onStack(t *found, sp, size uint64) bool {
	if t.data == nil {
		return false
	}
	for _, f := range []field{s.k.layout.stack, s.k.layout.auxStack} {
		if base := f.value(t.data); base != 0 && sp >= base && sp-base < size {
			return true
		}
	}
	return false
}

// maxStack bounds what is taken for the size of a stack, in bytes.
const maxStack = 1 << 20

// stackSize estimates how large stacks are, which no structure tells: as far as
// any thread's saved stack pointer is above the bottom of its stack. New threads
// stand at the top of theirs, and idle ones nearly so.
func (s *survey) stackSize() uint64 {
	size := uint64(0)
	for _, t := range s.order {
		if t.data == nil {
			continue
		}
		base, sp := s.k.layout.stack.value(t.data), s.k.layout.sp.value(t.data)
		if base != 0 && sp >= base && sp-base < maxStack {
			size = max(size, sp-base)
		}
	}
	return (size + 1<<pageShift - 1) &^ (1<<pageShift - 1)
}
