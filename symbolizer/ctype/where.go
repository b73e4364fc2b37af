package ctype

import (
	"debug/dwarf"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Where tells in words where a variable is kept at a link-time address: "in
// $rbx", "at frame base offset -24", "static storage at address 0x4010", "optimized
// out".
func (l Local) Where(pc uint64, a *arch.Arch) string {
	e := l.entry
	if c := e.Attr(dwarf.AttrConstValue); c != nil {
		return "a constant"
	}
	at := e.Attr(dwarf.AttrLocation)
	if at == nil {
		return "optimized out"
	}
	locs, err := l.ts.d.Locations(e.Unit, at)
	if err != nil {
		return err.Error()
	}
	expr, ok := pick(locs, pc)
	if !ok || len(expr) == 0 {
		return "optimized out here"
	}
	if addr, fixed, _ := l.ts.staticAddr(e.Unit, expr); fixed {
		return fmt.Sprintf("static storage at address %#x", addr)
	}
	ops, err := operations(expr, e.Unit.AddrSize(), e.Unit.OffsetSize())
	if err != nil {
		return err.Error()
	}
	const fbreg, stackValue = 0x91, 0x9f
	last := ops[len(ops)-1].op
	reg := func(num int) string {
		for _, r := range a.Regs {
			if r.Num == num {
				return "$" + r.Name
			}
		}
		return fmt.Sprintf("DWARF register %d", num)
	}
	switch o := ops[0]; {
	case len(ops) == 1 && o.op >= opReg0 && o.op <= opReg31:
		return "in " + reg(int(o.op-opReg0))
	case len(ops) == 1 && o.op == fbreg:
		return fmt.Sprintf("at frame base offset %d", int64(o.args[0]))
	case len(ops) == 1 && o.op >= 0x70 && o.op <= 0x8f:
		return fmt.Sprintf("at %s offset %d", reg(int(o.op-0x70)), int64(o.args[0]))
	case o.op == opEntryValue || o.op == opGNUEntryValue:
		return "known by its value at the function's entry"
	case last == opPiece || last == opBitPiece:
		return "in pieces"
	case last == stackValue:
		return "computed"
	}
	return "at a computed address"
}
