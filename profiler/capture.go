package profiler

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// page is the smallest page of every architecture known here. A read that does
// not cross one cannot fail half-way.
const page = 4096

// Capture is what one stop took of one processor. It is a target.Memory over
// the copied stack, so that an unwinder works on it as on the guest itself.
type Capture struct {
	CPU    target.CPU
	Regs   target.Regs
	Thread Thread
	// State is that of the sample.
	State string
	// Returning: the program counter is a return address.
	Returning bool
	// Code, if set, reads what never changes in the guest (its image's code and
	// read-only data) for an unwinder that looks beyond the stack.
	Code target.Memory

	stack []target.Range
	// lapsed: the guest was let run before all of the stack was read.
	lapsed bool
	// missing is how many bytes of stack would have been needed for what the
	// unwinder asked for in vain, 0 if that was not on this stack.
	missing uint64
}

// NewCapture is a capture of a thread: its registers and the ranges of its stack
// that StackRanges named, read by now.
func NewCapture(regs target.Regs, stack []target.Range) *Capture {
	return &Capture{CPU: NoCPU, Regs: regs, stack: stack}
}

// ReadMemory reads from the copied stack, else from Code.
func (c *Capture) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	n := 0
	for n < len(p) {
		got := c.readStack(p[n:], addr+uint64(n))
		if got == 0 {
			break
		}
		n += got
	}
	if n == len(p) {
		return n, nil
	}
	if n == 0 && c.Code != nil {
		if got, err := c.Code.ReadMemory(ctx, p, addr); err == nil && got == len(p) {
			return got, nil
		}
	}
	c.miss(addr + uint64(len(p)))
	return n, &target.FaultError{Addr: addr + uint64(n), Why: "not among the stack bytes copied at the sample"}
}

func (c *Capture) readStack(p []byte, addr uint64) int {
	for i := range c.stack {
		r := &c.stack[i]
		if off := addr - r.Addr; addr >= r.Addr && off < uint64(r.N) {
			return copy(p, r.Data[off:r.N])
		}
	}
	return 0
}

// miss notes that bytes up to end were asked for and not copied.
func (c *Capture) miss(end uint64) {
	if len(c.stack) == 0 {
		return
	}
	if need := end - c.stack[0].Addr; need <= maxStackLimit {
		c.missing = max(c.missing, need)
	}
}

// StackRanges splits the copy of n bytes from sp at page borders, so that a
// hole above the stack costs only what lies in it. It ends at the top of the
// address space.
func StackRanges(sp uint64, n int) []target.Range {
	var rs []target.Range
	for n > 0 {
		size := min(n, int(page-sp%page))
		rs = append(rs, target.Range{Addr: sp, Data: make([]byte, size)})
		next := sp + uint64(size)
		if next < sp {
			break
		}
		sp, n = next, n-size
	}
	return rs
}

// registers reads those of every processor, in one go if the machine can.
func (s *Sampler) registers(ctx context.Context, cpus []target.CPU) ([]target.Regs, error) {
	if m, ok := s.Machine.(interface {
		ReadAllRegisters(context.Context) ([]target.Regs, error)
	}); ok {
		if all, err := m.ReadAllRegisters(ctx); err != nil || len(all) == len(cpus) {
			return all, err
		}
	}
	out := make([]target.Regs, len(cpus))
	for i, cpu := range cpus {
		var err error
		if out[i], err = s.Machine.ReadRegisters(ctx, cpu); err != nil {
			return nil, fmt.Errorf("reading the registers of CPU %d: %w", cpu, err)
		}
	}
	return out, nil
}

// capture reads every processor of the stopped guest: registers, then all
// stacks and what tells the threads in one go.
func (s *Sampler) capture(ctx context.Context, cpus []target.CPU, window int) ([]*Capture, error) {
	caps := make([]*Capture, 0, len(cpus))
	var ranges []target.Range
	type share struct{ stack, probe, end int }
	shares := make([]share, 0, len(cpus))
	sets, err := s.registers(ctx, cpus)
	if err != nil {
		return nil, err
	}
	for i, cpu := range cpus {
		regs := sets[i]
		c := &Capture{CPU: cpu, Regs: regs, Code: s.Code}
		at := share{stack: len(ranges)}
		if regs.Arch != nil {
			if sp, ok := regs.Get(regs.Arch.SP); ok {
				ranges = append(ranges, StackRanges(sp, window)...)
			}
		}
		at.probe = len(ranges)
		if s.Threads != nil {
			ranges = append(ranges, s.Threads.Probe(cpu, &c.Regs)...)
		}
		at.end = len(ranges)
		shares = append(shares, at)
		caps = append(caps, c)
	}
	// Where the guest ran again before all was read, what the processors did is known.
	if err := target.ReadMany(ctx, s.Machine, ranges); err != nil && !errors.Is(err, target.ErrLapsed) {
		return nil, fmt.Errorf("reading the stacks: %w", err)
	}
	for i, c := range caps {
		at := shares[i]
		c.stack = ranges[at.stack:at.probe]
		for j := range c.stack {
			c.lapsed = c.lapsed || errors.Is(c.stack[j].Err, target.ErrLapsed)
		}
		if s.Threads == nil {
			continue
		}
		t, err := s.thread(ctx, c, ranges[at.probe:at.end])
		if err != nil {
			return nil, err
		}
		c.Thread = t
	}
	return caps, nil
}
