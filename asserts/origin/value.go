package origin

import "github.com/ukdbg/ukdbg/target/insn"

// Value returns what a register held before the instruction at pc, as far as the
// registers of the frame still tell.
func (x *Finder) Value(reg int, pc uint64) (uint64, bool) {
	at, ok := x.Func.byAddr[pc]
	if !ok || reg == insn.NoReg {
		return 0, false
	}
	return x.value(reg, at, 0)
}

func (x *Finder) address(m insn.Mem, at int) (uint64, bool) { return x.addressAt(m, at, 0) }

func (x *Finder) addressAt(m insn.Mem, at, depth int) (uint64, bool) {
	if m.Segment {
		return 0, false
	}
	addr := uint64(m.Disp)
	for _, part := range [...]struct {
		reg   int
		shift uint
	}{{m.Base, 0}, {m.Index, m.Shift}} {
		if part.reg == insn.NoReg {
			continue
		}
		v, ok := x.value(part.reg, at, depth)
		if !ok {
			return 0, false
		}
		addr += v << part.shift
	}
	return addr, true
}

// value follows a register forward from instruction at to where the frame
// stands, or backward to what it was made of.
func (x *Finder) value(reg, at, depth int) (uint64, bool) {
	if depth > maxDepth {
		return 0, false
	}
	if v, ok := x.forward(reg, at); ok {
		return v, true
	}
	by, entry, ok := x.Func.writer(reg, at)
	if !ok || entry {
		return 0, false
	}
	e, known := x.Func.instrs[by].Effect(reg)
	if !known {
		return 0, false
	}
	switch e.Kind {
	case insn.Copied:
		return x.value(e.Src, by, depth+1)
	case insn.Constant:
		return uint64(e.Imm), true
	case insn.Summed:
		return x.addressAt(insn.Mem{Base: e.Src, Index: e.Index, Shift: e.Shift, Disp: e.Imm}, by, depth+1)
	}
	if e.Kind == insn.Inserted {
		old, ok := x.value(e.Src, by, depth+1)
		return insert(old, e), ok
	}
	return 0, false // what was loaded may have changed since
}

// forward takes a register's value from the frame, if no instruction between at
// and the frame's place changes it but by a constant. The instructions between
// must be executed one after the other.
func (x *Finder) forward(reg, at int) (uint64, bool) {
	here, ok := x.Func.byAddr[x.At]
	if !ok || here < at {
		return 0, false
	}
	v, ok := x.Regs.Get(reg)
	if !ok {
		return 0, false
	}
	for i := at; i < here; i++ {
		in := &x.Func.instrs[i]
		if in.Flow == insn.Jump || in.Flow == insn.Stop || i > at && (len(x.Func.jumpers[i]) > 0 || x.Func.gap[i]) {
			return 0, false
		}
		if !x.Func.clobbers(i, reg) {
			continue
		}
		e, known := in.Effect(reg)
		if !known || e.Kind != insn.Summed || e.Src != reg || e.Index != insn.NoReg {
			return 0, false
		}
		v -= uint64(e.Imm)
	}
	return v, true
}
