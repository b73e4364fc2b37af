package ukdbg

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/insn"
)

// A dump without registers still shows where a guest that crashed stands: a
// function that never returns was called, and the return address of that call is
// on the stack. Whoever made the call has not gone on since, nor have its
// callers, so that what call frame information makes of the place is no stale
// frame: through the handler it leads to the frame the trap saved. A trap's
// frame without such a call below it may be left from a trap that is long over;
// it is told, and not used.

// lastCall is a call that never returned: the state in which it entered its
// function.
type lastCall struct {
	regs   target.Regs
	slot   uint64 // where the return address is
	name   string // of the function
	frames []unwind.Frame
}

// useLastCalls gives a dump without registers those of the calls that never
// returned, each a processor's.
func (s *Session) useLastCalls(ctx context.Context) error {
	if s.dump == nil || s.kernel == nil || len(s.cpus) > 0 || s.dump.Process() {
		return nil
	}
	f := s.newLastCalls(ctx)
	if err := f.search(ctx); err != nil {
		return fmt.Errorf("looking for where the guest stands: %w", err)
	}
	calls := f.innermost()
	for _, at := range f.stale(calls) {
		s.dump.AddNote(at)
	}
	if len(calls) == 0 {
		return nil
	}
	m := givenCPUs{Dump: s.dump, how: map[target.CPU]string{}}
	for i, c := range calls {
		if k, ok := s.kernel.(interface {
			CPURegister(ctx context.Context, thread uint64) (num int, value uint64, ok bool)
		}); ok {
			if num, v, ok := k.CPURegister(ctx, f.thread(c.frames)); ok {
				c.regs.Set(num, v)
			}
		}
		m.regs = append(m.regs, c.regs)
		how := fmt.Sprintf("the dump has no registers: %s was called and does not return, as its return address on the stack at %#x shows", c.name, c.slot)
		m.how[target.CPU(i)] = how
		s.dump.AddNote(fmt.Sprintf("CPU %d: %s; program counter, stack and frame pointer are known, and what a trap's frame on that stack saved", i, how))
	}
	s.machine = newProcessors(m)
	s.threads = nil
	clear(s.stacks)
	var err error
	s.cpus, err = s.machine.CPUs(ctx)
	return err
}

// standsBy says how it is known where a processor stands, "" where its registers
// tell.
func (s *Session) standsBy(cpu target.CPU) string {
	if m, ok := s.machine.machine.(givenCPUs); ok {
		return m.how[cpu]
	}
	return ""
}

// lastCalls searches a dump's memory.
type lastCalls struct {
	s       *Session
	endless map[uint64]symbolizer.Symbol // by run-time address
	low     uint64                       // the ends of the image's code, at run time
	high    uint64
	current []kernel.Thread // those that run and whose stacks are known
	found   []lastCall
	traps   []savedTrap
	tried   int                // words whose stack was looked at
	saved   map[uint64][]saves // by a function's address
}

// savedTrap is a frame that a trap saved, of which it is not known whether the
// trap is over.
type savedTrap struct{ at, pc, sp uint64 }

func (s *Session) newLastCalls(ctx context.Context) *lastCalls {
	f := &lastCalls{s: s, endless: map[uint64]symbolizer.Symbol{}, low: ^uint64(0), saved: map[uint64][]saves{}}
	for _, name := range unikraft.Endless() {
		for _, sym := range s.image.SymbolsByName(name) {
			f.endless[s.mapping.Run(sym.Addr)] = sym
		}
	}
	for _, sec := range s.image.Sections() {
		if sec.Code() && sec.Size > 0 {
			f.low = min(f.low, s.mapping.Run(sec.Addr))
			f.high = max(f.high, s.mapping.Run(sec.Addr+sec.Size-1))
		}
	}
	if list, err := s.kernel.Threads(ctx); err == nil {
		for _, t := range list.Threads {
			if t.State == kernel.Running && t.Stack != 0 {
				f.current = append(f.current, t)
			}
		}
	}
	return f
}

// Bounds of the search.
const (
	mostSearched = 1 << 30   // bytes of memory
	searchStep   = 256 << 10 // bytes at a time
	mostCalls    = 256
	mostTraps    = 4096
	mostTried    = 16 << 10 // a guest's memory may be full of what looks right
)

// search looks at every word of memory.
func (f *lastCalls) search(ctx context.Context) error {
	ranges, err := f.s.mappedRAM(ctx)
	if err != nil {
		return err
	}
	buf := make([]byte, searchStep)
	left := uint64(mostSearched)
	for _, r := range ranges {
		for at, end := r.first, r.last; at <= end && end-at >= 7; {
			n := min(uint64(len(buf)), end-at+1)
			if n > left {
				f.s.dump.AddNote(fmt.Sprintf("only the first %d MiB of memory were searched for where the guest stands", mostSearched>>20))
				return nil
			}
			got, err := f.s.dump.ReadMemory(ctx, buf[:n], at)
			if err != nil && !isHole(err) {
				return err
			}
			f.words(ctx, buf[:got&^7], at)
			// What is not there goes by pages.
			step := max(uint64(got), 1)
			if uint64(got) < n {
				step = uint64(got)&^4095 + 4096
			}
			left -= min(step, left)
			if at+step < at {
				break
			}
			at += step
		}
	}
	return nil
}

func isHole(err error) bool {
	var hole *target.FaultError
	return errors.As(err, &hole)
}

// words looks at the words of b, which lie at addr.
func (f *lastCalls) words(ctx context.Context, b []byte, addr uint64) {
	for i := 0; i+8 <= len(b); i += 8 {
		w := f.s.arch.StripPAC(binary.LittleEndian.Uint64(b[i:]))
		if w < f.low || w > f.high+1 {
			continue
		}
		to, from, ok := f.callBefore(w)
		if !ok {
			continue
		}
		at := addr + uint64(i)
		if sym, ok := f.endless[to]; ok && len(f.found) < mostCalls && f.tried < mostTried {
			f.tried++
			f.call(ctx, at, w, to, sym)
		} else if !ok && len(f.traps) < mostTraps && f.tried < mostTried {
			f.trap(ctx, at, w, to, from)
		}
	}
}

// callBefore is the direct call that ends at w: where it goes and where it is.
func (f *lastCalls) callBefore(w uint64) (to, from uint64, ok bool) {
	n := uint64(5) // E8 rel32
	if f.s.arch == arch.ARM64 {
		n = 4
	}
	from = w - n
	code, ok := f.s.image.Data(f.s.mapping.Link(from), int(n))
	if !ok || n == 5 && code[0] != 0xe8 {
		return 0, 0, false
	}
	in, ok := insn.Decode(f.s.arch, code, from)
	return in.Target, from, ok && in.Flow == insn.Call && in.Direct
}

// trap takes the word at slot for the return address of the call of a trap's
// handler: struct __regs then lies at the caller's stack pointer.
func (f *lastCalls) trap(ctx context.Context, slot, ret, to, from uint64) {
	name, _, ok := f.s.Symbolize(from)
	if !ok || !unikraft.IsTrapEntry(name) {
		return
	}
	f.tried++
	link := f.s.mapping.Link(to)
	handler, ok := f.s.image.Symbol(link)
	if !ok || handler.Addr != link {
		return
	}
	for _, regs := range f.entered(ctx, slot, ret, to, handler) {
		frames, _ := f.s.unwinder.Append(ctx, nil, f.s.mem, regs)
		if len(frames) < 3 || !frames[1].Trap {
			continue
		}
		if at := &frames[2]; f.plausible(at) {
			f.traps = append(f.traps, savedTrap{frames[1].Regs.SP(), at.PC, at.Regs.SP()})
			return
		}
	}
}

// plausible reports whether a trap can have interrupted the frame: code, and a
// stack that is there.
func (f *lastCalls) plausible(at *unwind.Frame) bool {
	sec, ok := f.s.image.SectionAt(f.s.mapping.Link(at.PC))
	if !ok || sec.Flags&elf.SHF_EXECINSTR == 0 {
		return false
	}
	_, err := target.ReadUint(context.Background(), f.s.mem, at.Regs.SP(), 8)
	return err == nil
}

// mostStale is how many stale frames are told one by one.
const mostStale = 3

// stale tells of the traps' frames that belong to none of the calls.
func (f *lastCalls) stale(calls []lastCall) (notes []string) {
	used := map[uint64]bool{}
	for _, c := range calls {
		for i := range c.frames {
			if c.frames[i].Trap {
				used[c.frames[i].Regs.SP()] = true
			}
		}
	}
	n := 0
	for _, t := range f.traps {
		if used[t.at] {
			continue
		}
		if n++; n <= mostStale {
			notes = append(notes, fmt.Sprintf("a trap's saved frame at %#x, of %s with the stack at %#x, may be stale: no registers are taken from it", t.at, f.s.named(t.pc), t.sp))
		}
	}
	if f.tried == mostTried {
		notes = append(notes, "memory holds so many addresses of calls that not all were looked at for where the guest stands")
	}
	if n > mostStale {
		notes = append(notes, fmt.Sprintf("%d more of them", n-mostStale))
	}
	return notes
}

// mappedRAM lists where the dump's memory is in virtual memory.
func (s *Session) mappedRAM(ctx context.Context) ([]stretch, error) {
	root, phys, err := s.addressSpace(ctx)
	if err != nil {
		return nil, err
	}
	var out []stretch
	add := func(virt, phys, size uint64, e dumpfile.Extent) {
		first, last := max(phys, e.Phys), min(phys+(size-1), e.Phys+(e.Size-1))
		if first <= last {
			out = append(out, stretch{virt + (first - phys), virt + (last - phys)})
		}
	}
	ram := s.dump.RAM()
	_, maps, err := root.Survey(ctx, phys)
	if err != nil && len(maps) == 0 {
		return nil, err
	}
	for _, e := range ram {
		if len(maps) == 0 {
			out = append(out, stretch{e.Phys, e.Phys + (e.Size - 1)})
		}
		for _, m := range maps {
			add(m.Virt, m.Phys, m.Size, e)
		}
	}
	return mergeStretches(out), nil
}
