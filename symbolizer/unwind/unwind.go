package unwind

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/cfi"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Unwinder walks stacks of one guest. It keeps its work space between walks, so
// it serves one goroutine at a time.
type Unwinder struct {
	mods    symbolizer.Mappings
	opt     Options
	max     int
	entries []symbolizer.Range // run-time code of Options.Entries

	stack stack
	row   cfi.Row
	regs  *target.Regs // of the frame whose rules are applied
}

// New prepares walks in a guest that has mods loaded.
func New(mods symbolizer.Mappings, opt Options) *Unwinder {
	u := &Unwinder{mods: mods, opt: opt, max: opt.Max}
	if u.max <= 0 {
		u.max = defaultMax
	}
	for _, name := range opt.Entries {
		for _, m := range mods {
			for _, s := range m.Image.SymbolsByName(name) {
				start := m.Run(s.Addr)
				u.entries = append(u.entries, symbolizer.Range{Start: start, End: start + max(s.Size, 1)})
			}
		}
	}
	return u
}

// Reg gives a register of the current frame to an expression.
func (u *Unwinder) Reg(num int) (uint64, bool) { return u.regs.Get(num) }

// Mem reads stack memory for an expression.
func (u *Unwinder) Mem(addr uint64, size int) (uint64, error) { return u.stack.Mem(addr, size) }

// Why a walk ends early.
var (
	errDepth = errors.New("deeper than the limit")
	errOrder = errors.New("the caller's frame is not above it on the stack (damaged stack?)")
	errLoop  = errors.New("the caller is a frame that was seen before (damaged stack?)")
	errRules = errors.New("no call frame information, and no frame pointer or return address could be made out")
	errNoRA  = errors.New("the return address is not known")
)

// errBottom ends a walk as it should.
var errBottom = errors.New("bottom of the stack")

// Append walks the stack from regs and appends its frames to dst. Frames are
// given with an error too; it is a *StopError, or that of a bad argument.
func (u *Unwinder) Append(ctx context.Context, dst []Frame, mem target.Memory, regs target.Regs) ([]Frame, error) {
	if regs.Arch == nil {
		return dst, errors.New("backtrace needs registers of a known architecture")
	}
	if _, ok := regs.Get(regs.Arch.PC); !ok {
		return dst, errors.New("backtrace needs a program counter, which is not known")
	}
	u.stack.reset(ctx, mem)
	first := len(dst)
	dst = append(dst, Frame{PC: regs.PC(), LookupPC: regs.PC(), Regs: regs, How: Context})
	for {
		i := len(dst) - 1
		f := &dst[i]
		why := ctx.Err()
		switch {
		case why != nil:
		case u.isEntry(f.LookupPC):
			u.cfaOnly(f)
			why = errBottom
		case i+1-first >= u.max:
			u.cfaOnly(f)
			why = errDepth
		default:
			// The caller is made in place, for a frame is big.
			dst = append(dst, Frame{})
			top := i == first || dst[i-1].Trap
			if why = u.caller(&dst[i], &dst[i+1], top); why == nil {
				why = check(dst[first:])
			}
			if why != nil {
				dst = dst[:i+1]
			}
		}
		switch why {
		case nil:
		case errBottom:
			return dst, nil
		default:
			return dst, &StopError{Frame: i - first, PC: dst[i].PC, Why: why}
		}
	}
}

func (u *Unwinder) isEntry(pc uint64) bool {
	for _, e := range u.entries {
		if pc >= e.Start && pc < e.End {
			return true
		}
	}
	return false
}

// check refuses a new last frame that does not lie above the one before it.
// Traps may switch stacks; behind one, only a repetition is refused.
func check(frames []Frame) error {
	n := len(frames) - 1
	f, caller := &frames[n-1], &frames[n]
	if f.Trap {
		for i := range frames[:n] {
			if frames[i].PC == caller.PC && frames[i].Regs.SP() == caller.Regs.SP() {
				return errLoop
			}
		}
		return nil
	}
	if n < 2 || frames[n-2].Trap || f.CFA == 0 || frames[n-2].CFA == 0 {
		return nil
	}
	// A leaf function may have no frame of its own, so the first two may share
	// an address.
	if prev := frames[n-2].CFA; f.CFA < prev || f.CFA == prev && n > 2 {
		return errOrder
	}
	return nil
}

// caller fills in the caller of f. top tells that f was interrupted and did not
// call, so that its function may be anywhere, even before its prologue.
func (u *Unwinder) caller(f, caller *Frame, top bool) error {
	if u.opt.TrapFrame != nil {
		if regs, ok := u.opt.TrapFrame(u.stack.ctx, u.stack.mem, f); ok && regs.Arch != nil {
			f.Trap = true
			u.cfaOnly(f)
			pc := regs.PC()
			*caller = Frame{PC: pc, LookupPC: pc, Regs: regs, How: Context}
			return nil
		}
	}
	a := f.Regs.Arch
	caller.Regs = target.NewRegs(a)
	err := u.byCFI(f, caller)
	switch {
	case err == nil:
		caller.How = CFI
	case err == errBottom || errors.Is(err, target.ErrLost):
		return err
	default:
		if other := u.without(f, caller, top); other != nil {
			if errors.Is(err, cfi.ErrNone) {
				err = other
			}
			return err
		}
	}
	pc := a.StripPAC(caller.Regs.PC())
	if pc == 0 || !f.Trap && u.startedAt(f, pc) {
		return errBottom
	}
	caller.Regs.Set(a.PC, pc)
	caller.PC, caller.LookupPC = pc, pc
	if !f.Trap {
		caller.LookupPC--
	}
	return nil
}

// rules loads the call frame rules of f.
func (u *Unwinder) rules(f *Frame) error {
	m, ok := u.mods.Find(f.LookupPC)
	if !ok {
		return cfi.ErrNone
	}
	table, _ := m.Image.CFI()
	return table.Row(m.Link(f.LookupPC), &u.row)
}

// cfa computes the canonical frame address by the loaded rules.
func (u *Unwinder) cfa(f *Frame) (uint64, error) {
	u.regs = &f.Regs
	rule := u.row.CFA()
	if rule.Kind == cfi.Register {
		v, ok := f.Regs.Get(int(rule.Reg))
		if !ok {
			return 0, cfi.ErrNoRegister
		}
		return v + uint64(rule.Off), nil
	}
	if rule.Kind != cfi.ValExpression {
		return 0, errors.New("call frame information gives no frame address")
	}
	return cfi.Eval(u.row.Expr(rule), 0, false, u)
}

// cfaOnly sets the frame address of a frame whose caller is not looked for.
func (u *Unwinder) cfaOnly(f *Frame) {
	if u.rules(f) != nil {
		return
	}
	if v, err := u.cfa(f); err == nil {
		f.CFA = v
	}
}

// byCFI computes the caller's registers by call frame information.
func (u *Unwinder) byCFI(f, caller *Frame) error {
	if err := u.rules(f); err != nil {
		return err
	}
	cfa, err := u.cfa(f)
	if u.row.Rule(u.row.RA).Kind == cfi.Undefined {
		if err == nil {
			f.CFA = cfa
		}
		return errBottom
	}
	if err != nil {
		return err
	}
	f.CFA = cfa
	f.Trap = u.row.Signal
	a := f.Regs.Arch
	if f.Trap {
		// No call, which may destroy some: what the stub has not saved yet is
		// still there.
		caller.Regs = f.Regs
	} else {
		u.keep(f, caller)
	}
	caller.Regs.Set(a.SP, cfa)
	for num := range arch.MaxRegs {
		rule := u.row.Rule(num)
		if rule.Kind == cfi.Unspecified {
			continue
		}
		if err := u.apply(f, caller, num, rule); err != nil {
			return err
		}
	}
	switch u.row.Rule(u.row.RA).Kind {
	case cfi.Unspecified, cfi.SameValue:
		// The return address is still where the call put it, in the link
		// register.
		if a.LR == arch.None {
			return errNoRA
		}
		if v, ok := f.Regs.Get(a.LR); ok {
			caller.Regs.Set(u.row.RA, v)
		}
	}
	pc, ok := caller.Regs.Get(u.row.RA)
	if !ok {
		return errNoRA
	}
	caller.Regs.Set(a.PC, pc)
	return nil
}

// apply sets one register of the caller. A register whose saved value cannot be
// read is unknown, unless it is needed to go on.
func (u *Unwinder) apply(f, caller *Frame, num int, rule cfi.Rule) error {
	var v uint64
	var err error
	switch rule.Kind {
	case cfi.Undefined:
		caller.Regs.Forget(num)
		return nil
	case cfi.SameValue, cfi.Register:
		from := num
		if rule.Kind == cfi.Register {
			from = int(rule.Reg)
		}
		if old, ok := f.Regs.Get(from); ok {
			caller.Regs.Set(num, old)
		} else {
			caller.Regs.Forget(num)
		}
		return nil
	case cfi.Offset:
		v, err = u.stack.Mem(f.CFA+uint64(rule.Off), 8)
	case cfi.ValOffset:
		v = f.CFA + uint64(rule.Off)
	case cfi.Expression, cfi.ValExpression:
		v, err = cfi.Eval(u.row.Expr(rule), f.CFA, true, u)
		if err == nil && rule.Kind == cfi.Expression {
			v, err = u.stack.Mem(v, 8)
		}
	}
	if err != nil {
		if num == u.row.RA || errors.Is(err, target.ErrLost) {
			return fmt.Errorf("return address: %w", err)
		}
		caller.Regs.Forget(num)
		return nil
	}
	caller.Regs.Set(num, v)
	return nil
}

// keep copies what a call preserves: the registers the ABI says a function
// preserves, and those that belong to the thread or processor and not to a
// function.
func (u *Unwinder) keep(f, caller *Frame) {
	a := f.Regs.Arch
	for _, num := range a.CalleeSaved {
		if v, ok := f.Regs.Get(num); ok {
			caller.Regs.Set(num, v)
		}
	}
	for _, num := range threadRegs(a) {
		if v, ok := f.Regs.Get(num); ok {
			caller.Regs.Set(num, v)
		}
	}
}

func threadRegs(a *arch.Arch) []int {
	if a == arch.ARM64 {
		return arm64Thread
	}
	return x86Thread
}

var (
	x86Thread   = []int{50, 51, 52, 53, 54, 55, arch.X86FSBase, arch.X86GSBase}
	arm64Thread = []int{arch.ARM64TPIDREL1}
)
