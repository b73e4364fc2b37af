package ukdbg

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/asserts/origin"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/insn"
)

// flowCause names the function pointer of a call that control-flow integrity
// refused, the type that was expected and the one the target has.
func (x *explainer) flowCause() {
	switch x.f.Subkind {
	case asserts.SubKCFI:
		x.kcfiCause()
	case "clang-cfi":
		x.tableCause()
	}
}

// kcfiCause: the target is in a register the trap names.
func (x *explainer) kcfiCause() {
	find, _, ok := x.finder(0)
	reg, known := x.s.arch.Reg(x.f.Detail("target register"))
	if !ok || !known {
		return
	}
	to, has := find.Regs.Get(reg.Num)
	who, named := find.Register(reg.Num, find.At)
	pointer := "a function pointer"
	if named {
		pointer = who.Text
	}
	text := "call through " + pointer
	if has {
		text += " of " + x.functionText(to)
	}
	if named {
		if fn := who.Elem(); fn != nil {
			x.detail("expected type name", fn.Strip().String())
			text += ", where " + fn.Strip().String() + " is expected"
		}
	}
	if has {
		if t := x.functionType(to); t != "" {
			x.detail("actual type name", t)
		}
	}
	x.because(text, fromCode)
}

func (x *explainer) detail(name, value string) {
	for _, d := range x.f.Details {
		if d.Name == name {
			return
		}
	}
	x.f.Details = append(x.f.Details, asserts.Detail{Name: name, Value: value})
}

// functionText names a function with its type.
func (x *explainer) functionText(addr uint64) string {
	name, off, ok := x.s.Symbolize(addr)
	if !ok {
		return fmt.Sprintf("%#x, where no function is", addr)
	}
	if off != 0 {
		return fmt.Sprintf("%s+%#x, which is no function's start", name, off)
	}
	if t := x.functionType(addr); t != "" {
		return fmt.Sprintf("%s, which is %s", name, t)
	}
	return name
}

// functionType is the type of the function that starts at an address, "" if it
// is not known.
func (x *explainer) functionType(addr uint64) string {
	name, off, ok := x.s.Symbolize(addr)
	if !ok || off != 0 || x.s.types == nil {
		return ""
	}
	fn, err := x.s.types.FunctionNamed(strings.TrimSuffix(name, ".cfi"))
	if err != nil || fn.Type == nil {
		return ""
	}
	return fn.Type.String()
}

// tableCheck is a check of clang's -fsanitize=cfi-icall before its trap: the
// address called, less the table's, rotated, is compared with how many entries
// the table has.
type tableCheck struct {
	base    uint64 // of the jump table
	entry   uint64 // size of an entry in bytes
	count   uint64
	pointer int // the register with the address called, DWARF number
	call    *insn.Instr
}

// tableCause explains the trap that all checks of a function share: it can only
// be told which one failed if there is one.
func (x *explainer) tableCause() {
	find, fn, ok := x.finder(0)
	if !ok {
		return
	}
	checks := x.tableChecks(find, fn)
	name, _ := x.function(0)
	x.detail("function", name)
	switch {
	case len(checks) == 0:
		return
	case len(checks) > 1:
		x.detail("checks that end in this trap", fmt.Sprint(len(checks)))
		return
	}
	c := checks[0]
	var legal []string
	const most = 32
	for i := uint64(0); i < min(c.count, most); i++ {
		legal = append(legal, x.tableTarget(c.base+i*c.entry))
	}
	if c.count > most {
		legal = append(legal, fmt.Sprintf("… and %d more", c.count-most))
	}
	x.detail("legal targets", strings.Join(legal, ", "))
	to, has := find.Regs.Get(c.pointer)
	if has {
		target, off, ok := x.s.Symbolize(to)
		switch {
		case !ok:
			target = fmt.Sprintf("%#x", to)
		case off != 0:
			target = fmt.Sprintf("%s+%#x", target, off)
		}
		x.detail("target", target)
	}
	pointer := "a function pointer"
	who, named := find.Register(c.pointer, c.call.Addr)
	if named {
		pointer = who.Text
	}
	text := fmt.Sprintf("call in %s through %s", name, pointer)
	if has {
		text += " of " + x.functionText(to)
	}
	if named && who.Elem() != nil {
		text += ", where " + who.Elem().Strip().String() + " is expected"
	}
	x.because(text+": legal are "+strings.Join(legal, ", "), "inferred from the check's instructions")
	if x.f.Source.Format == asserts.MachineFormat && has {
		x.f.Inferred = append(x.f.Inferred, fmt.Sprintf("the jump table at %#x has %d entries of %d bytes: from the instructions before the trap", c.base, c.count, c.entry))
	}
}

// tableChecks finds the checks of a function that jump to the trap it stands at.
func (x *explainer) tableChecks(find origin.Finder, fn *origin.Func) (out []tableCheck) {
	var window []insn.Instr
	var open *tableCheck
	fn.Each(func(in *insn.Instr) bool {
		if open != nil {
			// The call itself is right behind the check.
			if in.Flow == insn.Call {
				open.pointer, open.call = in.Via, in
				if open.pointer != insn.NoReg {
					out = append(out, *open)
				}
				open = nil
			} else if len(window) > 16 {
				open = nil
			}
		}
		if to := in.Target; in.Direct && to == find.At && in.Flow != insn.Call {
			if c, ok := x.tableBefore(window); ok {
				open = &c
				window = nil
				return true
			}
		}
		window = append(window, *in)
		return true
	})
	return out
}

// tableBefore reads the check that ends at the end of window.
func (x *explainer) tableBefore(window []insn.Instr) (c tableCheck, ok bool) {
	const reach = 12
	for i := len(window) - 1; i >= 0 && i >= len(window)-reach; i-- {
		in := &window[i]
		b := make([]byte, in.Len)
		if target.ReadFull(x.ctx, imageMemory{x.s}, b, in.Addr) != nil {
			return c, false
		}
		if x.s.arch == arch.ARM64 {
			c.readARM64(binary.LittleEndian.Uint32(b))
		} else {
			c.readX86(b)
		}
		if c.base == 0 && c.count != 0 && c.entry != 0 {
			for _, v := range in.Constants() {
				if sec, in := x.s.image.SectionAt(x.s.mapping.Link(v)); in && sec.Code() {
					c.base = v
				}
			}
		}
	}
	return c, c.base != 0 && c.count > 0 && c.count < 1<<16 && c.entry > 0
}

// readX86 takes count and entry size from "cmp $count,%reg" and "rol $n,%reg".
func (c *tableCheck) readX86(b []byte) {
	if len(b) < 4 || b[0]&0xf8 != 0x48 {
		return
	}
	switch {
	case c.count == 0 && b[1] == 0x83 && b[2]>>3 == 0x1f: // cmp imm8
		c.count = uint64(b[3])
	case c.count == 0 && b[1] == 0x81 && b[2]>>3 == 0x1f && len(b) >= 7: // cmp imm32
		c.count = uint64(binary.LittleEndian.Uint32(b[3:]))
	case c.entry == 0 && b[1] == 0xc1 && b[2]>>3 == 0x18: // rol imm8
		c.entry = 1 << (64 - uint(b[3])&63)
	case c.entry == 0 && b[1] == 0xc1 && b[2]>>3 == 0x19: // ror imm8
		c.entry = 1 << (uint(b[3]) & 63)
	}
}

// readARM64 takes them from "cmp xN, #count" and "ror xN, xM, #n".
func (c *tableCheck) readARM64(w uint32) {
	switch {
	case c.count == 0 && w&0xff80001f == 0xf100001f: // subs xzr, xN, #imm12
		c.count = uint64(w >> 10 & 0xfff)
	case c.entry == 0 && w&0xffe00000 == 0x93c00000 && w>>5&31 == w>>16&31: // extr of one register
		c.entry = 1 << (w >> 10 & 63)
	}
}

// tableTarget names the function a jump table's entry stands for.
func (x *explainer) tableTarget(entry uint64) string {
	if name, off, ok := x.s.Symbolize(entry); ok && off == 0 {
		return strings.TrimSuffix(name, ".cfi")
	}
	b := make([]byte, 8)
	n, _ := imageMemory{x.s}.ReadMemory(x.ctx, b, entry)
	if in, ok := insn.Decode(x.s.arch, b[:n], entry); ok {
		if to := in.Target; in.Direct {
			if name, off, ok := x.s.Symbolize(to); ok && off == 0 {
				return strings.TrimSuffix(name, ".cfi")
			}
		}
	}
	return fmt.Sprintf("%#x", entry)
}
