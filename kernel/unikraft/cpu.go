package unikraft

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
)

// cpu is one processor during a survey.
type cpu struct {
	number target.CPU
	regs   target.Regs
	err    error // of the registers
	// lcpu is the address of its struct lcpu, 0 if not known.
	lcpu uint64
	// index is its place in __uk_sched_thread_current, -1 if not known.
	index int
	// thread is the thread it runs.
	thread   uint64
	threadOK bool
	// leaving is the thread it still executes while thread is switched in.
	leaving uint64
}

// readCPUs asks the target for processors and registers.
func (s *survey) readCPUs(ctx context.Context) {
	const none = "this target has no registers: what runs is told by the kernel's word alone"
	c := s.k.cfg.CPUs
	if c == nil {
		s.note(none)
		return
	}
	numbers, err := c.CPUs(ctx)
	if err != nil {
		s.note("the processors cannot be listed: %v", err)
		return
	}
	if len(numbers) == 0 {
		s.note(none)
	}
	if len(numbers) > maxCPUs {
		s.note("of %d processors, %d are looked at", len(numbers), maxCPUs)
		numbers = numbers[:maxCPUs]
	}
	for _, n := range numbers {
		p := &cpu{number: n, index: -1}
		p.regs, p.err = c.ReadRegisters(ctx, n)
		if p.err == nil {
			p.lcpu = s.cpuPointer(ctx, p)
		}
		s.cpus = append(s.cpus, p)
	}
}

// cpuPointer returns the address of the processor's struct lcpu, 0 if the
// register that holds it is not known or not set up yet. A stub may know it
// among the system registers only.
func (s *survey) cpuPointer(ctx context.Context, p *cpu) uint64 {
	if v, ok := p.regs.Get(s.k.arch.cpuReg); ok {
		return v
	}
	if s.k.cfg.System == nil {
		return 0
	}
	regs, err := s.k.cfg.System.ReadSystemRegisters(ctx, p.number)
	if err != nil {
		if !errors.Is(err, target.ErrUnsupported) {
			s.note("CPU %d: its system registers are not readable: %v", p.number, err)
		}
		return 0
	}
	for _, name := range s.k.arch.cpuNames {
		if b := regs[name]; len(b) == 8 {
			return le64(b)
		}
	}
	return 0
}

// stepCPUs finds each processor's index and the thread it runs.
func (s *survey) stepCPUs() {
	addr, size, ok := s.k.symbol("__uk_sched_thread_current")
	if !ok {
		s.currentErr = errors.New("no symbol __uk_sched_thread_current")
		return
	}
	n := int(min(max(size/8, 1), maxCPUs))
	b, ok, err := s.f.get(addr, 8*n)
	if err != nil {
		s.currentErr = fmt.Errorf("__uk_sched_thread_current: %w", err)
		return
	}
	waiting := !ok
	for _, c := range s.cpus {
		switch l := s.k.layout.lcpuIndex; {
		case c.index >= 0:
		case c.lcpu == 0 || !l.ok:
			// One processor is the first, whatever its registers lack.
			if len(s.cpus) == 1 {
				c.index = 0
			}
		default:
			if v, ok, err := s.f.get(c.lcpu+l.off, int(l.size)); ok && err == nil && le64(v) < maxCPUs {
				c.index = int(le64(v))
			} else if ok && len(s.cpus) == 1 {
				c.index = 0
			}
		}
	}
	if waiting {
		return
	}
	taken := map[int]bool{}
	blind := len(s.cpus) == 0
	for _, c := range s.cpus {
		if c.index < 0 {
			blind = true
			continue
		}
		taken[c.index] = true
		if c.index < n && !c.threadOK {
			c.thread, c.threadOK = le64(b[8*c.index:8*c.index+8]), true
		}
	}
	if !blind || s.currents != nil {
		return
	}
	// Threads run whose processor is not known: keep them for describe.
	s.currents = map[int]uint64{}
	for i := range n {
		if t := le64(b[8*i : 8*i+8]); t != 0 {
			s.currents[i] = t
		}
	}
}

// settleCPUs tells what stepCPUs left open.
func (s *survey) settleCPUs() {
	if s.currentErr != nil {
		s.note("which threads run is not known: %v", s.currentErr)
	}
	for _, c := range s.cpus {
		if c.err != nil {
			s.note("CPU %d: its registers are not readable: %v", c.number, c.err)
		}
		delete(s.currents, c.index)
	}
	for _, i := range sortedKeys(s.currents) {
		s.place(s.currents[i])
	}
}

// settleCurrents finds the processors of the threads that run on one not known.
// Their structures are read by now.
func (s *survey) settleCurrents() {
	s.matchByStack()
	unknown := 0
	for _, c := range s.cpus {
		if c.index < 0 {
			unknown++
		}
	}
	for _, i := range sortedKeys(s.currents) {
		t := s.place(s.currents[i])
		t.running = true
		if unknown > 0 {
			s.note("which CPU runs the thread at %#x is not known: no struct lcpu is found by the CPUs' registers", t.addr)
		}
	}
}

// matchByStack finds the processor of a running thread where no register names
// it (a monitor shows no TPIDR_EL1): by the stack pointer, which is on the
// thread's stack. Threads and processors that then are alone belong together.
func (s *survey) matchByStack() {
	size := s.stackSize()
	on := map[int][]*cpu{} // by the thread's index
	var open []*cpu
	for _, c := range s.cpus {
		if c.index >= 0 || c.err != nil {
			continue
		}
		open = append(open, c)
		for i, addr := range s.currents {
			if t := s.known[addr]; t != nil && s.onStack(t, c.regs.SP(), size) {
				on[i] = append(on[i], c)
			}
		}
	}
	for _, i := range sortedKeys(on) {
		if len(on[i]) == 1 && on[i][0].index < 0 {
			s.assign(on[i][0], i)
		}
	}
	open = slices.DeleteFunc(open, func(c *cpu) bool { return c.index >= 0 })
	if len(open) == 1 && len(s.currents) == 1 {
		s.assign(open[0], sortedKeys(s.currents)[0])
	}
}

// assign makes the thread at an index of the kernel's table that of a processor.
func (s *survey) assign(c *cpu, index int) {
	c.index, c.thread, c.threadOK = index, s.currents[index], true
	t := s.place(c.thread)
	t.current = append(t.current, c)
	delete(s.currents, index)
}

// withoutThread makes an entry for a processor that runs no thread yet, so that
// it can be looked at like one.
func (s *survey) withoutThread(c *cpu) kernel.Thread {
	t := kernel.Thread{
		Name: "(no thread)", State: kernel.Running, CPU: c.number,
		Regs: c.regs, Live: c.err == nil, RegsErr: c.err,
	}
	switch {
	case s.notStarted(c):
		t.Name, t.State = NotStarted(c.number), kernel.Idle
		t.Notes = []string{"it executes nothing of the image, names no struct lcpu, and other processors run the threads there are"}
	case !c.threadOK:
		t.Name = "(thread not known)"
	}
	return t
}

// NotStarted is the name of what stands for a processor the guest never started.
func NotStarted(cpu target.CPU) string { return fmt.Sprintf("(CPU %d, not started)", cpu) }

// notStarted reports whether the guest left a processor to its firmware, as one
// does that was built for fewer processors than its VM has.
func (s *survey) notStarted(c *cpu) bool {
	if c.err != nil || c.threadOK || c.lcpu != 0 || len(s.currents) != 0 {
		return false
	}
	if _, _, inImage := s.k.symbolAt(c.regs.PC()); inImage {
		return false
	}
	return slices.ContainsFunc(s.cpus, func(o *cpu) bool { return o.threadOK && o.thread != 0 })
}
