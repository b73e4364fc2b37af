package origin

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/insn"
)

// MaxFunction is the most code of one function that is read, in bytes.
const MaxFunction = 256 << 10

// ErrTooLong says that a function is longer than MaxFunction.
var ErrTooLong = errors.New("the function is too long to be followed")

// Func is the decoded code of one function.
type Func struct {
	Start, End uint64 // the end is exclusive
	arch       *arch.Arch
	instrs     []insn.Instr
	byAddr     map[uint64]int
	// jumpers are the instructions that jump to an instruction.
	jumpers map[int][]int
	// gap: bytes before the instruction were none.
	gap map[int]bool
}

// ReadFunc decodes the function whose code is from start to end. What of it cannot
// be read is a gap.
func ReadFunc(ctx context.Context, a *arch.Arch, mem target.Memory, start, end uint64) (*Func, error) {
	if end <= start || end-start > MaxFunction {
		return nil, fmt.Errorf("code from %#x to %#x: %w", start, end, ErrTooLong)
	}
	code := make([]byte, end-start)
	n, err := mem.ReadMemory(ctx, code, start)
	if n == 0 && err != nil {
		return nil, fmt.Errorf("code at %#x: %w", start, err)
	}
	f := &Func{Start: start, End: end, arch: a, byAddr: map[uint64]int{}, jumpers: map[int][]int{}, gap: map[int]bool{}}
	gap := false
	for off := 0; off < n; {
		in, ok := insn.Decode(a, code[off:n], start+uint64(off))
		if !ok || in.Len <= 0 {
			gap = true
			off += int(a.MinInstr)
			continue
		}
		at := len(f.instrs)
		if gap {
			f.gap[at], gap = true, false
		}
		f.byAddr[in.Addr] = at
		f.instrs = append(f.instrs, in)
		off += in.Len
	}
	for i := range f.instrs {
		in := &f.instrs[i]
		if in.Flow != insn.Jump && in.Flow != insn.Branch || !in.Direct {
			continue
		}
		if to, ok := f.byAddr[in.Target]; ok {
			f.jumpers[to] = append(f.jumpers[to], i)
		}
	}
	return f, nil
}

// At returns the instruction at addr.
func (f *Func) At(addr uint64) (*insn.Instr, bool) {
	i, ok := f.byAddr[addr]
	if !ok {
		return nil, false
	}
	return &f.instrs[i], true
}

// Before returns the instruction that ends at addr, as the call before a return
// address does.
func (f *Func) Before(addr uint64) (*insn.Instr, bool) {
	if i, ok := f.byAddr[addr]; ok && i > 0 && !f.gap[i] {
		return &f.instrs[i-1], true
	}
	// A call that does not come back may be a function's last instruction.
	if n := len(f.instrs); n > 0 && f.instrs[n-1].Addr+uint64(f.instrs[n-1].Len) == addr {
		return &f.instrs[n-1], true
	}
	return nil, false
}

// Each calls yield for the instructions in order until it returns false.
func (f *Func) Each(yield func(*insn.Instr) bool) {
	for i := range f.instrs {
		if !yield(&f.instrs[i]) {
			return
		}
	}
}

// maxSteps bounds how many instructions are looked at for one writer.
const maxSteps = 4096

// writer finds the one instruction that wrote reg before instruction at, along
// all ways that lead there. entry is true if it is none of the function's own.
func (f *Func) writer(reg, at int) (index int, entry, ok bool) {
	index = -1
	seen := map[int]bool{}
	work := []int{at}
	for len(work) > 0 {
		if len(seen) > maxSteps {
			return 0, false, false
		}
		i := work[len(work)-1]
		work = work[:len(work)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		before, known := f.before(i)
		if !known {
			return 0, false, false
		}
		if i == 0 && !f.gap[0] {
			entry = true // the caller's value
		}
		for _, p := range before {
			if f.clobbers(p, reg) {
				if index >= 0 && index != p {
					return 0, false, false
				}
				index = p
				continue
			}
			work = append(work, p)
		}
	}
	if index >= 0 && entry {
		return 0, false, false
	}
	return index, entry, index >= 0 || entry
}

// before lists the instructions that may be executed right before i. known is
// false if there may be others.
func (f *Func) before(i int) (list []int, known bool) {
	list = append(list, f.jumpers[i]...)
	if f.gap[i] {
		return nil, false
	}
	if i > 0 {
		switch f.instrs[i-1].Flow {
		case insn.Jump, insn.Stop:
		default:
			list = append(list, i-1)
		}
	}
	return list, i == 0 || len(list) > 0
}

// clobbers reports whether reg has another value after instruction i.
func (f *Func) clobbers(i, reg int) bool {
	in := &f.instrs[i]
	if in.WritesTo(reg) {
		return true
	}
	return in.Flow == insn.Call && !f.kept(reg)
}

// kept reports whether calls keep a register.
func (f *Func) kept(reg int) bool {
	if reg == f.arch.SP {
		return true
	}
	for _, r := range f.arch.CalleeSaved {
		if r == reg {
			return true
		}
	}
	return false
}

// Shared reports whether the call before a return address may have been come to
// by several ways that meet right before it, as compilers join the ends of a
// function's error paths: its source line then is that of one of them only.
func (f *Func) Shared(ret uint64) bool {
	const reach = 12
	at, ok := f.byAddr[ret]
	if !ok {
		at = len(f.instrs) // the call was the last instruction
	}
	for i := at - 1; i >= 0 && i >= at-reach; i-- {
		if flow := f.instrs[i].Flow; i < at-1 && flow != insn.Next && flow != insn.Call {
			return false
		}
		if jumpers := len(f.jumpers[i]); jumpers > 0 {
			return jumpers > 1 || f.falls(i, &f.instrs[at-1])
		}
	}
	return false
}

// falls reports whether instruction i may be come to from the one before it; end
// is a call that does not come back.
func (f *Func) falls(i int, end *insn.Instr) bool {
	for k := i - 1; k >= 0; k-- {
		in := &f.instrs[k]
		switch {
		case in.Flow == insn.Jump, in.Flow == insn.Stop, in.Flow == insn.Call && in.Direct && in.Target == end.Target:
			return false
		case len(f.jumpers[k]) > 0:
			return true
		}
	}
	return true
}

// Places returns up to n addresses of instructions, spread over the function.
func (f *Func) Places(n int) (out []uint64) {
	step := max(1, len(f.instrs)/n)
	for i := 0; i < len(f.instrs) && len(out) < n; i += step {
		out = append(out, f.instrs[i].Addr)
	}
	return out
}
