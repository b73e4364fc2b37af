package cfi

import (
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Context is what an expression may look at.
type Context interface {
	// Reg returns the value of a register by DWARF number.
	Reg(num int) (v uint64, ok bool)
	// Mem reads a little-endian number of 1, 2, 4 or 8 bytes.
	Mem(addr uint64, size int) (uint64, error)
}

// maxExprSteps bounds an expression's run, for it may branch backwards.
const maxExprSteps = 4096

// ErrNoRegister says that a rule needs a register whose value is not known.
var ErrNoRegister = errors.New("needs a register whose value is not known")

var errExpr = errors.New("damaged DWARF expression")

// exprStack is the stack of an expression; compilers need a few slots.
type exprStack struct {
	v   [32]uint64
	n   int
	bad bool
}

func (s *exprStack) push(v uint64) {
	if s.n == len(s.v) {
		s.bad = true
		return
	}
	s.v[s.n] = v
	s.n++
}

func (s *exprStack) pop() uint64 {
	if s.n == 0 {
		s.bad = true
		return 0
	}
	s.n--
	return s.v[s.n]
}

func (s *exprStack) pick(i uint64) uint64 {
	if i >= uint64(s.n) {
		s.bad = true
		return 0
	}
	return s.v[s.n-1-int(i)]
}

// Eval runs a DWARF expression of a call frame rule (DWARF 5, sections 2.5 and
// 6.4.2.1). For rules of registers the CFA is pushed first.
func Eval(expr []byte, cfa uint64, pushCFA bool, ctx Context) (uint64, error) {
	var s exprStack
	if pushCFA {
		s.push(cfa)
	}
	r := dwbuf.New(expr, 0)
	for steps := 0; r.Len() > 0; steps++ {
		if steps == maxExprSteps {
			return 0, fmt.Errorf("DWARF expression does not end after %d operations", maxExprSteps)
		}
		op := r.U8()
		if err := evalOp(op, &r, &s, ctx); err != nil {
			return 0, err
		}
		if r.Failed() || s.bad {
			return 0, errExpr
		}
	}
	v := s.pop()
	if s.bad {
		return 0, errExpr
	}
	return v, nil
}

// Operations (DWARF 5, section 7.7.1).
const (
	dwAddr       = 0x03
	dwDeref      = 0x06
	dwConst1u    = 0x08
	dwConst1s    = 0x09
	dwConst2u    = 0x0a
	dwConst2s    = 0x0b
	dwConst4u    = 0x0c
	dwConst4s    = 0x0d
	dwConst8u    = 0x0e
	dwConst8s    = 0x0f
	dwConstu     = 0x10
	dwConsts     = 0x11
	dwDup        = 0x12
	dwDrop       = 0x13
	dwOver       = 0x14
	dwPick       = 0x15
	dwSwap       = 0x16
	dwRot        = 0x17
	dwAbs        = 0x19
	dwAnd        = 0x1a
	dwDiv        = 0x1b
	dwMinus      = 0x1c
	dwMod        = 0x1d
	dwMul        = 0x1e
	dwNeg        = 0x1f
	dwNot        = 0x20
	dwOr         = 0x21
	dwPlus       = 0x22
	dwPlusUconst = 0x23
	dwShl        = 0x24
	dwShr        = 0x25
	dwShra       = 0x26
	dwXor        = 0x27
	dwBra        = 0x28
	dwEq         = 0x29
	dwGe         = 0x2a
	dwGt         = 0x2b
	dwLe         = 0x2c
	dwLt         = 0x2d
	dwNe         = 0x2e
	dwSkip       = 0x2f
	dwLit0       = 0x30
	dwLit31      = 0x4f
	dwBreg0      = 0x70
	dwBreg31     = 0x8f
	dwBregx      = 0x92
	dwDerefSize  = 0x94
	dwNop        = 0x96
)

func evalOp(op uint8, r *dwbuf.Reader, s *exprStack, ctx Context) error {
	switch {
	case op >= dwLit0 && op <= dwLit31:
		s.push(uint64(op - dwLit0))
		return nil
	case op >= dwBreg0 && op <= dwBreg31:
		return pushReg(uint64(op-dwBreg0), r, s, ctx)
	case op >= dwConst1u && op <= dwConst8s:
		size := 1 << ((op - dwConst1u) / 2)
		if op&1 == 1 {
			s.push(uint64(r.Int(size)))
		} else {
			s.push(r.Uint(size))
		}
		return nil
	}
	switch op {
	case dwAddr:
		s.push(r.U64())
	case dwConstu:
		s.push(r.Uleb())
	case dwConsts:
		s.push(uint64(r.Sleb()))
	case dwBregx:
		return pushReg(r.Uleb(), r, s, ctx)
	case dwDeref:
		return deref(8, s, ctx)
	case dwDerefSize:
		return deref(int(r.U8()), s, ctx)
	case dwDup:
		s.push(s.pick(0))
	case dwDrop:
		s.pop()
	case dwOver:
		s.push(s.pick(1))
	case dwPick:
		s.push(s.pick(uint64(r.U8())))
	case dwSwap:
		a, b := s.pop(), s.pop()
		s.push(a)
		s.push(b)
	case dwRot:
		a, b, c := s.pop(), s.pop(), s.pop()
		s.push(a)
		s.push(c)
		s.push(b)
	case dwPlusUconst:
		s.push(s.pop() + r.Uleb())
	case dwAbs:
		s.push(uint64(max(int64(s.pick(0)), -int64(s.pop()))))
	case dwNeg:
		s.push(-s.pop())
	case dwNot:
		s.push(^s.pop())
	case dwBra, dwSkip:
		to := int64(r.Int(2))
		if op == dwBra && s.pop() == 0 {
			return nil
		}
		if to += int64(r.Offset()); to < 0 {
			return errExpr
		}
		r.Seek(uint64(to))
	case dwNop:
	default:
		b, a := s.pop(), s.pop()
		v, ok := binary(op, a, b)
		if !ok {
			return fmt.Errorf("DWARF operation %#x is not supported in call frame rules", op)
		}
		s.push(v)
	}
	return nil
}

func pushReg(num uint64, r *dwbuf.Reader, s *exprStack, ctx Context) error {
	off := r.Sleb()
	v, ok := ctx.Reg(int(min(num, maxRegNum)))
	if !ok {
		return ErrNoRegister
	}
	s.push(v + uint64(off))
	return nil
}

func deref(size int, s *exprStack, ctx Context) error {
	if size != 1 && size != 2 && size != 4 && size != 8 {
		return errExpr
	}
	addr := s.pop()
	if s.bad {
		return errExpr
	}
	v, err := ctx.Mem(addr, size)
	if err != nil {
		return err
	}
	s.push(v)
	return nil
}

func binary(op uint8, a, b uint64) (v uint64, ok bool) {
	truth := func(t bool) (uint64, bool) {
		if t {
			return 1, true
		}
		return 0, true
	}
	x, y := int64(a), int64(b)
	switch op {
	case dwAnd:
		return a & b, true
	case dwOr:
		return a | b, true
	case dwXor:
		return a ^ b, true
	case dwPlus:
		return a + b, true
	case dwMinus:
		return a - b, true
	case dwMul:
		return a * b, true
	case dwDiv:
		if y == 0 {
			return 0, false
		}
		return uint64(x / y), true
	case dwMod:
		if b == 0 {
			return 0, false
		}
		return a % b, true
	case dwShl:
		return a << b, true
	case dwShr:
		return a >> b, true
	case dwShra:
		return uint64(x >> b), true
	case dwEq:
		return truth(x == y)
	case dwNe:
		return truth(x != y)
	case dwLt:
		return truth(x < y)
	case dwLe:
		return truth(x <= y)
	case dwGt:
		return truth(x > y)
	case dwGe:
		return truth(x >= y)
	}
	return 0, false
}
