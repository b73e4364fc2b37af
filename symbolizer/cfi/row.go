package cfi

import (
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
	"github.com/ukdbg/ukdbg/target/arch"
)

// RuleKind says how a register of the caller is found (DWARF 5, section 6.4.1).
type RuleKind uint8

const (
	// Unspecified: the entry says nothing; the ABI decides.
	Unspecified RuleKind = iota
	// Undefined: the caller's value is lost.
	Undefined
	// SameValue: the register still has the caller's value.
	SameValue
	// Offset: the value is saved at CFA + Off.
	Offset
	// ValOffset: the value is CFA + Off.
	ValOffset
	// Register: the value is in register Reg.
	Register
	// Expression: the value is saved at the address the expression gives.
	Expression
	// ValExpression: the value is what the expression gives.
	ValExpression
)

// Rule says how one register, or the CFA, is found. For the CFA the kind is
// Register (value of Reg plus Off) or ValExpression.
type Rule struct {
	Kind RuleKind
	Reg  uint16
	// Off is an offset in bytes, or where an expression starts.
	Off int64
	// Len is the length of an expression.
	Len uint32
}

// maxRegNum stands for every register number past what is kept.
const maxRegNum = 0xffff

// rules are the rules at one address.
type rules struct {
	cfa   Rule
	set   uint64 // registers with a rule, as bits
	regs  [arch.MaxRegs]Rule
	raKey bool // the return address is signed
}

// copy copies what is set, which is little of the whole.
func (d *rules) copy(s *rules) {
	d.cfa, d.set, d.raKey = s.cfa, s.set, s.raKey
	for i := range d.regs {
		if s.set>>i == 0 {
			break
		}
		d.regs[i] = s.regs[i]
	}
}

// maxRemember bounds nested DW_CFA_remember_state; compilers nest one.
const maxRemember = 8

// Row holds the rules at one pc. It is big: declare one and reuse it.
type Row struct {
	rules
	// RA is the number of the register that stands for the return address.
	RA int
	// Signal: see FDE.
	Signal bool
	// ArgsSize is the size of the pushed arguments, in bytes, where told.
	ArgsSize uint64

	initial rules
	saved   [maxRemember]rules
	depth   int
	data    []byte
}

// CFA is the rule for the canonical frame address.
func (r *Row) CFA() Rule { return r.cfa }

// Rule is the rule for a register by DWARF number; Unspecified where there is
// none, or for numbers that are not kept (vector registers).
func (r *Row) Rule(reg int) Rule {
	if reg < 0 || reg >= arch.MaxRegs || r.set&(1<<reg) == 0 {
		return Rule{}
	}
	return r.regs[reg]
}

// SignedRA reports whether the saved return address carries a pointer
// authentication code.
func (r *Row) SignedRA() bool {
	return r.raKey
}

// Expr returns the bytes of an expression rule.
func (r *Row) Expr(rule Rule) []byte {
	if rule.Kind != Expression && rule.Kind != ValExpression {
		return nil
	}
	return r.data[rule.Off : rule.Off+int64(rule.Len)]
}

// Call frame instructions (DWARF 5, section 7.24), with those of vendors.
const (
	opAdvanceLoc = 0x40
	opOffset     = 0x80
	opRestore    = 0xc0

	opNop               = 0x00
	opSetLoc            = 0x01
	opAdvanceLoc1       = 0x02
	opAdvanceLoc2       = 0x03
	opAdvanceLoc4       = 0x04
	opOffsetExtended    = 0x05
	opRestoreExtended   = 0x06
	opUndefined         = 0x07
	opSameValue         = 0x08
	opRegister          = 0x09
	opRememberState     = 0x0a
	opRestoreState      = 0x0b
	opDefCFA            = 0x0c
	opDefCFARegister    = 0x0d
	opDefCFAOffset      = 0x0e
	opDefCFAExpression  = 0x0f
	opExpression        = 0x10
	opOffsetExtendedSF  = 0x11
	opDefCFASF          = 0x12
	opDefCFAOffsetSF    = 0x13
	opValOffset         = 0x14
	opValOffsetSF       = 0x15
	opValExpression     = 0x16
	opMIPSAdvanceLoc8   = 0x1d
	opAArch64NegateRA   = 0x2d
	opGNUArgsSize       = 0x2e
	opGNUNegativeOffset = 0x2f
)

var (
	errCutOff   = errors.New("call frame instructions are cut off")
	errRemember = errors.New("call frame instructions restore a state that was not remembered, or remember too many")
	errCFARule  = errors.New("call frame instructions change a CFA that is not a register and an offset")
)

// Row fills row with the rules at pc. The error is ErrNone if no entry covers
// it.
func (t *Table) Row(pc uint64, row *Row) error {
	e := t.find(pc)
	if e == nil {
		return ErrNone
	}
	c := &t.cies[e.cie]
	sec := &t.sections[e.section]
	row.cfa, row.set, row.raKey = Rule{}, 0, false
	row.initial.set, row.initial.cfa, row.initial.raKey = 0, Rule{}, false
	row.depth, row.ArgsSize = 0, 0
	row.RA, row.Signal, row.data = c.ra, c.signal, sec.Data
	x := executor{row: row, cie: c, sec: sec, loc: e.begin, pc: pc}
	if err := x.run(c.first, c.last); err != nil {
		return err
	}
	row.initial.copy(&row.rules)
	x.loc = e.begin
	return x.run(e.first, e.last)
}

type executor struct {
	row     *Row
	cie     *cie
	sec     *Section
	loc, pc uint64
}

// run executes instructions until they pass pc.
func (x *executor) run(first, last uint32) error {
	r := dwbuf.New(x.sec.Data[:last], uint64(first))
	row, c := x.row, x.cie
	for r.Len() > 0 && x.loc <= x.pc {
		op := r.U8()
		low := uint64(op & 0x3f)
		switch op & 0xc0 {
		case opAdvanceLoc:
			x.loc += low * c.codeAlign
			continue
		case opOffset:
			row.setRule(low, Rule{Kind: Offset, Off: int64(r.Uleb()) * c.dataAlign})
			continue
		case opRestore:
			row.restore(low)
			continue
		}
		switch op {
		case opNop:
		case opSetLoc:
			x.loc, _ = readPointer(&r, c.encoding, x.sec.Addr, c.addrSize)
		case opAdvanceLoc1:
			x.loc += uint64(r.U8()) * c.codeAlign
		case opAdvanceLoc2:
			x.loc += uint64(r.U16()) * c.codeAlign
		case opAdvanceLoc4:
			x.loc += uint64(r.U32()) * c.codeAlign
		case opMIPSAdvanceLoc8:
			x.loc += r.U64() * c.codeAlign
		case opOffsetExtended:
			reg := r.Uleb()
			row.setRule(reg, Rule{Kind: Offset, Off: int64(r.Uleb()) * c.dataAlign})
		case opOffsetExtendedSF:
			reg := r.Uleb()
			row.setRule(reg, Rule{Kind: Offset, Off: r.Sleb() * c.dataAlign})
		case opGNUNegativeOffset:
			reg := r.Uleb()
			row.setRule(reg, Rule{Kind: Offset, Off: -int64(r.Uleb()) * c.dataAlign})
		case opValOffset:
			reg := r.Uleb()
			row.setRule(reg, Rule{Kind: ValOffset, Off: int64(r.Uleb()) * c.dataAlign})
		case opValOffsetSF:
			reg := r.Uleb()
			row.setRule(reg, Rule{Kind: ValOffset, Off: r.Sleb() * c.dataAlign})
		case opRestoreExtended:
			row.restore(r.Uleb())
		case opUndefined:
			row.setRule(r.Uleb(), Rule{Kind: Undefined})
		case opSameValue:
			row.setRule(r.Uleb(), Rule{Kind: SameValue})
		case opRegister:
			reg := r.Uleb()
			row.setRule(reg, Rule{Kind: Register, Reg: uint16(min(r.Uleb(), maxRegNum))})
		case opExpression, opValExpression:
			reg, kind := r.Uleb(), Expression
			if op == opValExpression {
				kind = ValExpression
			}
			row.setRule(reg, expression(&r, kind))
		case opRememberState:
			if row.depth == maxRemember {
				return errRemember
			}
			row.saved[row.depth].copy(&row.rules)
			row.depth++
		case opRestoreState:
			if row.depth == 0 {
				return errRemember
			}
			row.depth--
			row.rules.copy(&row.saved[row.depth])
		case opDefCFA:
			reg := r.Uleb()
			row.cfa = cfaRule(reg, int64(r.Uleb()))
		case opDefCFASF:
			reg := r.Uleb()
			row.cfa = cfaRule(reg, r.Sleb()*c.dataAlign)
		case opDefCFARegister, opDefCFAOffset, opDefCFAOffsetSF:
			if row.cfa.Kind != Register {
				return errCFARule
			}
			switch op {
			case opDefCFARegister:
				row.cfa.Reg = uint16(min(r.Uleb(), maxRegNum))
			case opDefCFAOffset:
				row.cfa.Off = int64(r.Uleb())
			case opDefCFAOffsetSF:
				row.cfa.Off = r.Sleb() * c.dataAlign
			}
		case opDefCFAExpression:
			row.cfa = expression(&r, ValExpression)
		case opAArch64NegateRA:
			row.raKey = !row.raKey
		case opGNUArgsSize:
			row.ArgsSize = r.Uleb()
		default:
			return fmt.Errorf("unknown call frame instruction %#x", op)
		}
	}
	if r.Failed() {
		return errCutOff
	}
	return nil
}

func cfaRule(reg uint64, off int64) Rule {
	return Rule{Kind: Register, Reg: uint16(min(reg, maxRegNum)), Off: off}
}

func expression(r *dwbuf.Reader, kind RuleKind) Rule {
	n := r.Uleb()
	rule := Rule{Kind: kind, Off: int64(r.Offset()), Len: uint32(n)}
	r.Skip(n)
	if r.Failed() {
		return Rule{}
	}
	return rule
}

func (r *Row) setRule(reg uint64, rule Rule) {
	if reg < arch.MaxRegs {
		r.regs[reg] = rule
		r.set |= 1 << reg
	}
}

// restore gives a register its rule from the start of the function.
func (r *Row) restore(reg uint64) {
	if reg >= arch.MaxRegs {
		return
	}
	r.set = r.set&^(1<<reg) | r.initial.set&(1<<reg)
	r.regs[reg] = r.initial.regs[reg]
}
