package ukdbg

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/asserts/origin"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target/insn"
)

// nearNull bounds the addresses taken for a null pointer and an offset.
const nearNull = 4096

// pointerCause names the pointer an access went through and what of it was
// accessed.
func (x *explainer) pointerCause() {
	find, fn, ok := x.finder(0)
	if !ok || x.frames[0].LookupPC != x.frames[0].PC {
		return // a function that ended the guest: the fault is not its caller's
	}
	in, ok := fn.At(find.At)
	if !ok || in.Access == insn.None {
		return
	}
	access := x.accessText(in.Access)
	if in.Mem.Base == insn.NoReg {
		x.fixedAddress(find, in.Mem, access)
		return
	}
	value, known := find.Regs.Get(in.Mem.Base)
	if !known {
		return
	}
	if at := x.faultAddress(); value < nearNull && at.Known && at.V >= nearNull && in.Mem.Index == insn.NoReg && in.Mem.Disp > 0 {
		// A small register and a large displacement: an index into a table.
		m := in.Mem
		m.Base, m.Index, m.Shift = insn.NoReg, in.Mem.Base, 0
		x.fixedAddress(find, m, access)
		return
	}
	who, named := find.Register(in.Mem.Base, find.At)
	if named && who.Const {
		m := in.Mem
		m.Base, m.Disp = insn.NoReg, m.Disp+int64(who.Value)
		x.fixedAddress(find, m, access)
		return
	}
	name := x.regName(in.Mem.Base)
	if named {
		name = who.Text
	}
	what := memberText(who, in.Mem, value)
	held := x.heldText(value, who, named)
	switch {
	case value < nearNull:
		is := "is NULL"
		if value != 0 {
			is = fmt.Sprintf("is %#x, a null pointer plus an offset", value)
		}
		x.because(fmt.Sprintf("%s through a null pointer: %s %s%s", access, name, is, what), fromCode)
	case x.f.Subkind == asserts.SubWriteToReadOnly:
		x.because(fmt.Sprintf("write to %s, which is read-only (%s), through the pointer %s%s", x.objectName(), x.s.SectionName(x.faultAddress().V), name, what), fromCode)
	case x.f.Kind == asserts.ProtectionKey:
		x.because(fmt.Sprintf("%s %s%s through the pointer %s%s", accessTo(access), x.objectName(), x.keyText(), name, what), fromCode)
	case held != "":
		x.because(fmt.Sprintf("%s through a bad pointer: %s is %#x, %s%s", access, name, value, held, what), fromCode)
	case named:
		x.because(fmt.Sprintf("%s through a bad pointer: %s is %#x%s%s", access, name, value, what, x.unmapped()), fromCode)
	}
}

// accessText is the access in words; the trap knows better than the instruction.
func (x *explainer) accessText(in insn.Access) string {
	switch {
	case x.f.Access != "":
		return string(x.f.Access)
	case in == insn.Read:
		return "read"
	case in == insn.Write:
		return "write"
	}
	return "access"
}

// accessTo is an access with its preposition.
func accessTo(access string) string {
	if access == string(asserts.Read) {
		return "read of"
	}
	return access + " to"
}

// fixedAddress: the code has the address as a constant, or that of a table.
func (x *explainer) fixedAddress(find origin.Finder, m insn.Mem, access string) {
	if m.Segment {
		return
	}
	if uint64(m.Disp) < nearNull && m.Index == insn.NoReg {
		x.because(fmt.Sprintf("%s through a null pointer: the code has NULL there as a constant, offset %d", access, m.Disp), fromCode)
		return
	}
	object := fmt.Sprintf("the fixed address %#x", uint64(m.Disp))
	if sym, off, ok := x.s.Symbolize(uint64(m.Disp)); ok {
		object = sym
		if off != 0 {
			object += fmt.Sprintf("+%#x", off)
		}
	}
	what := ""
	if m.Index != insn.NoReg {
		name := x.regName(m.Index)
		if index, ok := find.Register(m.Index, find.At); ok {
			name = index.Text
		}
		v, _ := find.Regs.Get(m.Index)
		what = fmt.Sprintf(" with the index %s, which is %d", name, int64(v))
	}
	switch {
	case x.f.Subkind == asserts.SubWriteToReadOnly:
		what += ", which is read-only"
		if sec := x.s.SectionName(x.faultAddress().V); sec != "" {
			what += " (" + sec + ")"
		}
	case x.f.Subkind == asserts.SubNonCanonical:
		what += ", which is no address"
	case x.f.Kind == asserts.ProtectionKey:
		what += strings.TrimSuffix(x.keyText(), ",")
	}
	x.because(fmt.Sprintf("%s %s%s%s", accessTo(access), object, what, x.unmapped()), fromCode)
}

func (x *explainer) unmapped() string {
	if x.f.Subkind == asserts.SubNotPresent || x.f.Subkind == "" && x.f.Kind == asserts.PageFault {
		return ", where nothing is mapped"
	}
	return ""
}

// memberText says which member is accessed: ", field fd, offset 8 of struct conn".
func memberText(who origin.Named, m insn.Mem, value uint64) string {
	elem := who.Elem()
	if elem == nil {
		if m.Disp != 0 && value < nearNull {
			return fmt.Sprintf(", offset %d", m.Disp)
		}
		return ""
	}
	path, t, ok := origin.Member(elem, m.Disp, m.Size)
	if m.Index != insn.NoReg {
		path, t, ok = origin.Member(elem, m.Disp, 0)
	}
	if !ok {
		return ""
	}
	k := elem.Strip().Kind
	if path == "" || t == nil || k != ctype.Struct && k != ctype.Union {
		return ""
	}
	return fmt.Sprintf(", field %s, offset %d of %s", path, m.Disp, elem.Unqualified())
}

// heldText says what is odd about a pointer's value, "" if nothing is.
func (x *explainer) heldText(value uint64, who origin.Named, named bool) string {
	what, _, poison := asserts.Poison(value)
	text, isText := asserts.TextBytes(value)
	switch {
	case poison:
		return what + x.readFrom(who, named)
	case isText:
		x.private = append(x.private, fmt.Sprintf("%#x", value), fmt.Sprintf("%q", text))
		return fmt.Sprintf("the text %q: something was written over the pointer%s", text, x.readFrom(who, named))
	case x.f.Subkind == asserts.SubNonCanonical:
		return "which is no address" + x.readFrom(who, named)
	}
	return ""
}

// readFrom tells the object a pointer was loaded from.
func (x *explainer) readFrom(who origin.Named, named bool) string {
	if !named || !who.HeldKnown {
		return ""
	}
	o := x.object(asserts.Value(who.Held))
	if o == nil || o.Kind == string(OwnedByNobody) || o.Kind == string(OwnedByStack) || o.Kind == "variable" {
		return ""
	}
	return ", read from " + o.Text
}

// objectName names the object of the fault's address.
func (x *explainer) objectName() string {
	at := x.faultAddress()
	o := x.object(at)
	switch {
	case o == nil || o.Kind != string(OwnedBySymbol) && o.Kind != "variable":
		return fmt.Sprintf("%#x", at.V)
	case o.Offset != 0:
		return fmt.Sprintf("%s+%#x", o.Name, o.Offset)
	}
	return o.Name
}

// keyText says which key of the address's page forbids the access and where
// that page is.
func (x *explainer) keyText() string {
	text := ""
	if sec := x.f.Detail("section"); sec != "" {
		text = " in section " + sec
	}
	if key := x.f.Detail("key"); key != "" {
		text += ", whose protection key " + key + " is closed"
		switch x.f.Subkind {
		case asserts.SubAccessDisabled:
			text += " to all access,"
		case asserts.SubWriteDisabled:
			text += " to writes,"
		default:
			text += ","
		}
	}
	return text
}
