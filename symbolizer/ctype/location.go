package ctype

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/target"
)

var errCutOff = errors.New("number is cut off")

// ImplicitPointerError says that a pointer was optimized away but what it points
// to is still known to the compiler (DW_OP_implicit_pointer).
type ImplicitPointerError struct{}

func (*ImplicitPointerError) Error() string { return "<synthetic pointer>" }

// UnknownRegisterError says that a variable lives in a register whose value is
// not known in its frame.
type UnknownRegisterError struct {
	// Num is the DWARF number, Name the register's name or "".
	Num  int
	Name string
}

func (e *UnknownRegisterError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("<not saved> (DWARF register %d)", e.Num)
	}
	return "<not saved> (register " + e.Name + ")"
}

// evaluator evaluates location expressions in one frame.
type evaluator struct {
	ts    *Types
	r     *Reader
	frame *Frame
	unit  *dies.Unit
	fn    *dies.Entry // the function whose frame it is, for DW_OP_fbreg
	// depth counts values taken from callers of callers, left those that may
	// still be asked for; nil is maxEntryValues.
	depth int
	left  *int
}

// maxEntryDepth bounds how far up the stack entry values are traced: as far as
// stacks are unwound, for a recursive function hands its arguments on. One value
// may need several of the caller, so their number is bounded too.
const (
	maxEntryDepth  = 256
	maxEntryValues = 1024
)

// place is where a part of an object is, or its bytes.
type place struct {
	kind Lval // NotLval: data holds it
	addr uint64
	reg  int
	data []byte
	// none: this part was optimized out.
	none bool
}

// object evaluates expr to an object of type t.
func (x *evaluator) object(t *Type, expr []byte) Value {
	v, err := x.objectErr(t, expr)
	if err != nil {
		return x.r.FailType(t, err)
	}
	return v
}

func (x *evaluator) objectErr(t *Type, expr []byte) (Value, error) {
	ops, err := operations(expr, x.unit.AddrSize(), x.unit.OffsetSize())
	if err != nil {
		return Value{}, err
	}
	hasPieces := false
	for _, o := range ops {
		hasPieces = hasPieces || o.op == opPiece || o.op == opBitPiece
	}
	if hasPieces {
		return x.pieces(t, ops)
	}
	p, err := x.simple(ops)
	if err != nil {
		return Value{}, err
	}
	switch p.kind {
	case InMemory:
		return x.r.At(t, p.addr), nil
	case InRegister:
		data, err := x.register(p.reg)
		if err != nil {
			return Value{}, err
		}
		if t.Size() > int64(len(data)) {
			return Value{}, fmt.Errorf("an object of %d bytes in register %d", t.Size(), p.reg)
		}
		v := x.r.Make(t, data)
		v.Lval, v.Reg = InRegister, p.reg
		return v, nil
	}
	if p.none {
		return Value{}, ErrOptimizedOut
	}
	return x.r.Make(t, p.data), nil
}

// pieces puts an object together from parts (DWARF 5, section 2.6.1.2).
func (x *evaluator) pieces(t *Type, ops []operation) (Value, error) {
	size := t.Size()
	if size <= 0 || size > maxBlock {
		return Value{}, fmt.Errorf("an object of %d bytes in pieces", size)
	}
	data := make([]byte, size)
	var holes []hole
	missing := func(from, n uint64) { holes = append(holes, hole{from, from + n}) }
	pos := uint64(0) // in bits
	start := 0
	for i, o := range ops {
		if o.op != opPiece && o.op != opBitPiece {
			continue
		}
		bits, from := 8*min(o.args[0], maxBlock), uint64(0)
		if o.op == opBitPiece {
			bits, from = min(o.args[0], 8*maxBlock), min(o.args[1], 8*maxBlock)
		}
		bits = min(bits, 8*uint64(size)-min(pos, 8*uint64(size)))
		part := ops[start:i]
		start = i + 1
		p := place{none: true}
		if len(part) > 0 {
			var err error
			if p, err = x.simple(part); err != nil {
				var unknown *UnknownRegisterError
				if !errors.As(err, &unknown) && !errors.Is(err, ErrOptimizedOut) {
					return Value{}, err
				}
				p = place{none: true}
			}
		}
		src := p.data
		switch {
		case p.none:
		case p.kind == InMemory:
			src = make([]byte, (from+bits+7)/8)
			if err := target.ReadFull(x.r.ctx, x.r.mem, src, p.addr); err != nil {
				return Value{}, &ReadError{Type: t.String(), Addr: p.addr, Err: err}
			}
		case p.kind == InRegister:
			var err error
			if src, err = x.register(p.reg); err != nil {
				p.none = true
			}
		}
		if p.none {
			missing(pos, bits)
		} else {
			copyBits(data, pos, src, from, bits)
		}
		pos += bits
	}
	if pos < 8*uint64(size) {
		missing(pos, 8*uint64(size)-pos)
	}
	if len(holes) > 0 && allMissing(holes, 8*uint64(size)) {
		return Value{}, ErrOptimizedOut
	}
	v := x.r.Make(t, data)
	v.Lval = InPieces
	v.blk.holes = holes
	return v, nil
}

// hole is a range of bits of an object that was optimized out.
type hole struct{ from, to uint64 }

func allMissing(holes []hole, bits uint64) bool {
	n := uint64(0)
	for _, h := range holes {
		n += h.to - h.from
	}
	return n >= bits
}

func copyBits(dst []byte, to uint64, src []byte, from, n uint64) {
	for i := range n {
		s, d := from+i, to+i
		if s/8 >= uint64(len(src)) || d/8 >= uint64(len(dst)) {
			return
		}
		dst[d/8] |= (src[s/8] >> (s % 8) & 1) << (d % 8)
	}
}

// register returns the bytes of a register of the frame.
func (x *evaluator) register(num int) ([]byte, error) {
	v, ok := x.frame.Regs.Get(num)
	if !ok {
		return nil, x.unknown(num)
	}
	return binary.LittleEndian.AppendUint64(nil, v), nil
}

func (x *evaluator) unknown(num int) error {
	e := &UnknownRegisterError{Num: num}
	if a := x.frame.Regs.Arch; a != nil {
		for _, r := range a.Regs {
			if r.Num == num {
				e.Name = r.Name
			}
		}
	}
	return e
}

// simple evaluates an expression without pieces.
func (x *evaluator) simple(ops []operation) (place, error) {
	if len(ops) == 0 {
		return place{none: true}, nil
	}
	// A register alone: delve's op reads one it does not know as 0.
	if o := ops[0]; len(ops) == 1 {
		switch {
		case o.op >= opReg0 && o.op <= opReg31:
			return place{kind: InRegister, reg: int(o.op - opReg0)}, nil
		case o.op == opRegx:
			return place{kind: InRegister, reg: int(min(o.args[0], 1<<20))}, nil
		}
	}
	prog, err := x.lower(ops)
	if err != nil {
		return place{}, err
	}
	return x.run(prog)
}

// run hands a program to delve's op.
func (x *evaluator) run(prog []byte) (p place, err error) {
	defer func() {
		// op indexes its stack and divides without looking.
		if r := recover(); r != nil {
			err = fmt.Errorf("location expression: %v", r)
		}
	}()
	regs, err := x.opRegisters(prog)
	if err != nil {
		return place{}, err
	}
	read := func(b []byte, addr uint64) (int, error) {
		if err := target.ReadFull(x.r.ctx, x.r.mem, b, addr); err != nil {
			return 0, &ReadError{Type: "location expression", Addr: addr, Err: err}
		}
		return len(b), nil
	}
	addr, parts, err := op.ExecuteStackProgram(*regs, prog, x.unit.AddrSize(), read)
	if err != nil {
		return place{}, err
	}
	if len(parts) == 0 {
		return place{kind: InMemory, addr: uint64(addr)}, nil
	}
	switch part := parts[0]; part.Kind {
	case op.RegPiece:
		return place{kind: InRegister, reg: int(part.Val)}, nil
	case op.ImmPiece:
		if part.Bytes != nil {
			return place{data: part.Bytes}, nil
		}
		return place{data: binary.LittleEndian.AppendUint64(nil, part.Val)}, nil
	default:
		return place{kind: InMemory, addr: part.Val}, nil
	}
}

// opRegisters gives delve's op the registers of the frame, its CFA and, where
// the program asks for it, the frame base.
func (x *evaluator) opRegisters(prog []byte) (*op.DwarfRegisters, error) {
	a := x.frame.Regs.Arch
	regs := op.NewDwarfRegisters(x.r.slide, nil, binary.LittleEndian, 0, 0, 0, 0)
	if a != nil {
		regs = op.NewDwarfRegisters(x.r.slide, nil, binary.LittleEndian, uint64(a.PC), uint64(a.SP), uint64(a.FP), 0)
		for _, r := range a.Regs {
			if v, ok := x.frame.Regs.Get(r.Num); ok {
				regs.AddReg(uint64(r.Num), op.DwarfRegisterFromUint64(v))
			}
		}
	}
	regs.CFA = int64(x.frame.CFA)
	const fbreg = 0x91
	ops, err := operations(prog, x.unit.AddrSize(), x.unit.OffsetSize())
	if err != nil {
		return nil, err
	}
	for _, o := range ops {
		if o.op == fbreg {
			base, err := x.frameBase()
			if err != nil {
				return nil, fmt.Errorf("frame base: %w", err)
			}
			regs.FrameBase = int64(base)
			break
		}
	}
	return regs, nil
}
