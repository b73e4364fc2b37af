package asserts

import (
	"bytes"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// trapARM64 collects a register dump of plat/common/arm/traps_arm64.c
// (Unikraft up to 0.19): "EL1 sync trap caught" or "ELn invalid … trap caught",
// then "NAME : 0x…" lines and rows of general registers.
type trapARM64 struct{ f *Fault }

func beginTrapARM64(s *segment, open assembler) assembler {
	b := s.body
	caught := bytes.Contains(b, []byte(" trap caught"))
	tag := bytes.Contains(b, []byte("EL1 async tag check fault"))
	if !tag && !(caught && (bytes.Contains(b, []byte("EL1 sync")) || bytes.Contains(b, []byte(" invalid ")))) {
		return nil
	}
	if f := trapLike(open); f != nil && toldBefore(f.Kind) && sameMoment(f, s) && !tag {
		f.Arch = arch.ARM64
		return &trapARM64{f}
	}
	f := newFault(UnknownTrap, "unikraft-trap-arm64", s)
	f.Arch = arch.ARM64
	i := bytes.Index(b, []byte("EL"))
	f.derived = true // it only says that there was a trap
	f.Reason = string(bytes.TrimSpace(b[max(i, 0):]))
	if tag {
		f.Kind, f.Subkind = MemoryTag, "asynchronous"
	}
	return &trapARM64{f}
}

// toldBefore says that a report of this kind is printed right before the dump of
// its trap.
func toldBefore(k Kind) bool {
	return k == PageFault || k == StackOverflow || k == ControlFlowIntegrity
}

func (t *trapARM64) fault() *Fault { return t.f }

// arm64Lines maps what is printed before the colon to gdb's register names.
var arm64Lines = [...]struct{ printed, name string }{
	{"SP", "sp"}, {"ESR_EL1", "ESR_EL1"}, {"ELR_EL1", "pc"}, {"LR (x30)", "x30"}, {"LR", "x30"},
	{"PSTATE", "cpsr"}, {"FAR_EL1", "FAR_EL1"},
}

func (t *trapARM64) add(s *segment) verdict {
	b := bytes.TrimLeft(s.body, " \t")
	name, value, ok := bytes.Cut(b, []byte(":"))
	if !ok || len(b) > 256 {
		return foreign
	}
	name = bytes.TrimSpace(name)
	value = bytes.TrimLeft(value, " ")
	if bytes.HasPrefix(name, []byte("x")) && bytes.Contains(name, []byte(" ~ ")) {
		return t.row(name, value)
	}
	for _, l := range arm64Lines {
		if string(name) != l.printed {
			continue
		}
		digits, n := hexDigits(value)
		if n == 0 {
			return foreign
		}
		arm64Register(t.f, l.name, digits)
		return taken
	}
	return foreign
}

// row takes "x04 ~ x07: 0x… 0x… 0x… 0x…". The row of x28 is the last.
func (t *trapARM64) row(name, value []byte) verdict {
	first, n := decimal(name[1:])
	if n == 0 || first > 28 {
		return foreign
	}
	for i := first; i <= min(first+3, 29); i++ {
		digits, n := hexDigits(value)
		if n == 0 {
			break
		}
		arm64Register(t.f, fmt.Sprintf("x%d", i), digits)
		value = bytes.TrimLeft(value[n:], " ")
	}
	if first == 28 {
		return last
	}
	return taken
}

// arm64Register sets a register and the fields of the fault that follow.
func arm64Register(f *Fault, name string, digits []byte) {
	r := cutValue(regName{name: name, digits: 16}, digits)
	f.setReg(r)
	switch name {
	case "pc":
		f.PC = r.Value
	case "ESR_EL1":
		f.ErrorCode = r.Value
	}
}
