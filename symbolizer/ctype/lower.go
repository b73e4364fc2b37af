package ctype

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// lower rewrites the operations delve's op does not know into ones it does:
// values a function was entered with become constants, indices of .debug_addr
// addresses, conversions between integer types masks and shifts.
func (x *evaluator) lower(ops []operation) ([]byte, error) {
	var out []byte
	changed, jumps := false, false
	constant := func(v uint64) {
		out = append(out, opConst8u)
		out = binary.LittleEndian.AppendUint64(out, v)
		changed = true
	}
	for _, o := range ops {
		switch o.op {
		case opBra, opSkip:
			jumps = true
			out = append(out, o.raw...)
		case opEntryValue, opGNUEntryValue:
			v, err := x.entryValue(o.block)
			if err != nil {
				return nil, err
			}
			constant(v)
		case opAddrx, opGNUAddrIndex, opConstx, opGNUConstIndex:
			v, ok := x.ts.d.AddrIndex(x.unit, o.args[0])
			if !ok {
				return nil, fmt.Errorf("location expression: no address %d in .debug_addr", o.args[0])
			}
			if o.op == opAddrx || o.op == opGNUAddrIndex {
				v += x.r.slide
			}
			constant(v)
		case opImplicitPointer, opGNUImplicitPtr:
			return nil, &ImplicitPointerError{}
		case opConstType, opGNUConstType:
			t, err := x.baseType(o.args[0])
			if err != nil {
				return nil, err
			}
			constant(Extract(o.block, 0, 0, t.Signed))
		case opRegvalType, opGNURegvalType:
			t, err := x.baseType(o.args[1])
			if err != nil {
				return nil, err
			}
			v, ok := x.frame.Regs.Get(int(min(o.args[0], 1<<20)))
			if !ok {
				return nil, x.unknown(int(min(o.args[0], 1<<20)))
			}
			constant(v)
			out = convert(out, t)
		case opDerefType, opGNUDerefType:
			t, err := x.baseType(o.args[1])
			if err != nil {
				return nil, err
			}
			out = convert(deref(out, o.args[0]), t)
			changed = true
		case opDerefSize:
			if o.args[0] == 4 || o.args[0] == 8 {
				out = append(out, o.raw...)
				continue
			}
			out = deref(out, o.args[0])
			changed = true
		case opConvert, opReinterpret, opGNUConvert, opGNUReinterpret:
			changed = true
			if o.args[0] == 0 {
				continue // to the generic type: 64 bits as they are
			}
			t, err := x.baseType(o.args[0])
			if err != nil {
				return nil, err
			}
			out = convert(out, t)
		case opGNUParamRef, opGNUVariable:
			return nil, ErrOptimizedOut
		default:
			if reg, ok := based(o); ok {
				if _, known := x.frame.Regs.Get(reg); !known {
					return nil, x.unknown(reg)
				}
			}
			out = append(out, o.raw...)
		}
	}
	if changed && jumps {
		return nil, errors.New("location expression: jumps beside operations that are rewritten")
	}
	return out, nil
}

// based returns the register an address is relative to.
func based(o operation) (reg int, ok bool) {
	switch {
	case o.op >= 0x70 && o.op <= 0x8f:
		return int(o.op - 0x70), true
	case o.op == opBregx:
		return int(min(o.args[0], 1<<20)), true
	}
	return 0, false
}

// deref appends the operations that read a number of 1 to 8 bytes. Delve's op
// knows 4 and 8 bytes only, so of 8 the others are cut off.
func deref(out []byte, size uint64) []byte {
	out = append(out, opDeref)
	if size >= 8 || size == 0 {
		return out
	}
	out = append(out, opConst8u)
	out = binary.LittleEndian.AppendUint64(out, 1<<(8*size)-1)
	return append(out, opAnd)
}

// convert appends the operations that cut the top of the stack to an integer
// type and extend it again.
func convert(out []byte, t *Type) []byte {
	bits := 8 * t.Size()
	if bits <= 0 || bits >= 64 {
		return out
	}
	if t.Signed {
		return append(out, opConst1u, byte(64-bits), opShl, opConst1u, byte(64-bits), opShra)
	}
	out = append(out, opConst8u)
	out = binary.LittleEndian.AppendUint64(out, 1<<bits-1)
	return append(out, opAnd)
}

// baseType returns the base type at an offset within the unit; only integers can
// be computed with.
func (x *evaluator) baseType(rel uint64) (*Type, error) {
	t := x.ts.at(x.unit.Offset + rel)
	if !t.IsInteger() {
		return nil, fmt.Errorf("location expression: computing with type %s is not supported", t)
	}
	return t, nil
}

// frameBase evaluates DW_AT_frame_base of the function.
func (x *evaluator) frameBase() (uint64, error) {
	a := x.fn.Attr(dwarf.AttrFrameBase)
	if a == nil {
		return 0, errors.New("the function tells none")
	}
	locs, err := x.ts.d.Locations(x.unit, a)
	if err != nil {
		return 0, err
	}
	expr, ok := pick(locs, x.frame.LookupPC)
	if !ok {
		return 0, errors.New("the function tells none for this place")
	}
	ops, err := operations(expr, x.unit.AddrSize(), x.unit.OffsetSize())
	if err != nil {
		return 0, err
	}
	for _, o := range ops {
		const fbreg, callFrameCFA = 0x91, 0x9c
		if o.op == fbreg {
			return 0, errors.New("it refers to itself")
		}
		if o.op == callFrameCFA && x.frame.CFA == 0 {
			return 0, errors.New("the frame's CFA is not known")
		}
	}
	p, err := x.simple(ops)
	if err != nil {
		return 0, err
	}
	switch p.kind {
	case InRegister:
		v, ok := x.frame.Regs.Get(p.reg)
		if !ok {
			return 0, x.unknown(p.reg)
		}
		return v, nil
	case InMemory:
		return p.addr, nil
	}
	return Extract(p.data, 0, 0, false), nil
}

// entryValue finds what the expression block was worth when the function was
// entered, from what the caller says it passed (DWARF 5, sections 2.5.1.7 and
// 3.4.2).
func (x *evaluator) entryValue(block []byte) (uint64, error) {
	none := func() (uint64, error) { return 0, ErrOptimizedOut }
	if x.left == nil {
		n := maxEntryValues
		x.left = &n
	}
	if *x.left--; x.depth >= maxEntryDepth || *x.left < 0 || x.frame.Caller == nil {
		return none()
	}
	caller := x.frame.Caller()
	if caller == nil {
		return none()
	}
	r := x.r
	if caller.Reader != nil {
		r = caller.Reader
	}
	ts := r.types
	scope, err := ts.Scope(caller.LookupPC, 0)
	if err != nil {
		return none()
	}
	site := ts.callSite(scope.outer, caller.PC, 0)
	if site == nil || !x.callsHere(r, site, caller, scope.outer) || !x.ts.entersOnce(x.fn) {
		return none()
	}
	it := ts.d.Children(site)
	for n := 0; n < maxMembers && it.Next(); n++ {
		p := it.Entry()
		const tagGNUParameter, attrGNUValue = dwarf.Tag(0x410a), dwarf.Attr(0x2111)
		if p.Tag != dwarf.TagCallSiteParameter && p.Tag != tagGNUParameter {
			continue
		}
		loc := p.Attr(dwarf.AttrLocation)
		if loc == nil || string(loc.B) != string(block) {
			continue
		}
		val := p.Attr(dwarf.AttrCallValue)
		if val == nil {
			val = p.Attr(attrGNUValue)
		}
		if val == nil || !val.IsBlock() {
			return none()
		}
		v, err := x.inCaller(r, caller, scope.outer, p, val)
		var unknown *UnknownRegisterError
		if errors.As(err, &unknown) {
			return none()
		}
		return v, err
	}
	return none()
}

// callSite finds the entry of the call that returns to pc, in e or its blocks.
func (ts *Types) callSite(e *dies.Entry, pc uint64, depth int) *dies.Entry {
	it := ts.d.Children(e)
	for it.Next() {
		c := it.Entry()
		const tagGNUCallSite = dwarf.Tag(0x4109)
		switch c.Tag {
		case dwarf.TagCallSite, tagGNUCallSite:
			a := c.Attr(dwarf.AttrCallReturnPC)
			if a == nil {
				a = c.Attr(dwarf.AttrLowpc)
			}
			if ret, ok := ts.d.Address(c.Unit, a); ok && ret == pc {
				if full, err := ts.d.Entry(c.Off); err == nil {
					return full
				}
			}
		case dwarf.TagLexDwarfBlock, dwarf.TagInlinedSubroutine:
			if depth >= maxDepth {
				continue
			}
			full, err := ts.d.Entry(c.Off)
			if err != nil {
				continue
			}
			if found := ts.callSite(full, pc, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}

// inCaller evaluates an expression of entry e of the caller's function, which r
// reads, to a value.
func (x *evaluator) inCaller(r *Reader, caller *Frame, fn, e *dies.Entry, block *dies.Attr) (uint64, error) {
	up := &evaluator{ts: r.types, r: r, frame: caller, unit: e.Unit, fn: fn, depth: x.depth + 1, left: x.left}
	ops, err := operations(block.B, e.Unit.AddrSize(), e.Unit.OffsetSize())
	if err != nil {
		return 0, err
	}
	got, err := up.simple(ops)
	if err != nil {
		return 0, err
	}
	switch got.kind {
	case InMemory:
		return got.addr, nil // the value of the expression, not a place
	case InRegister:
		v, ok := caller.Regs.Get(got.reg)
		if !ok {
			return 0, up.unknown(got.reg)
		}
		return v, nil
	}
	return Extract(got.data, 0, 0, false), nil
}

// callsHere reports whether a call site of function fn is known to call this very
// function: if it calls another, a tail call lies between and its parameters are
// not ours. A call through a pointer is known where the pointer is.
func (x *evaluator) callsHere(r *Reader, site *dies.Entry, caller *Frame, fn *dies.Entry) bool {
	a := site.Attr(dwarf.AttrCallOrigin)
	if a == nil {
		a = site.Attr(dwarf.AttrAbstractOrigin)
	}
	off, ok := r.types.d.Ref(a)
	if !ok {
		const attrGNUTarget = dwarf.Attr(0x2113)
		to := site.Attr(dwarf.AttrCallTarget)
		if to == nil {
			to = site.Attr(attrGNUTarget)
		}
		entry, known := x.ts.d.Address(x.fn.Unit, x.fn.Attr(dwarf.AttrLowpc))
		if to == nil || !to.IsBlock() || !known {
			return false
		}
		v, err := x.inCaller(r, caller, fn, site, to)
		return err == nil && v == entry+x.r.slide
	}
	callee, err := r.types.d.Entry(off)
	if err != nil {
		return false
	}
	name := x.ts.nameOf(x.fn)
	if name == r.types.nameOf(callee) {
		return true
	}
	// What the compiler has a name of its own for: __builtin_memcpy is memcpy.
	linkage := callee.Attr(dwarf.AttrLinkageName)
	return linkage != nil && name != "" && r.types.d.String(callee.Unit, linkage) == name
}
