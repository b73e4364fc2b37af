package asserts

import (
	"bytes"

	"github.com/ukdbg/ukdbg/target/arch"
)

// beginLinuxOops takes the first line of an oops: a page fault
//
//	BUG: unable to handle page fault for address: X
//	BUG: unable to handle kernel paging request at X        (before 5.1)
//	BUG: kernel NULL pointer dereference, address: X
//	Unable to handle kernel paging request at virtual address X      (arm64)
//
// a full stack ("BUG: stack guard page was hit at X (stack is X..X)"), or the
// name of another trap with the counter:
//
//	general protection fault, probably for non-canonical address 0x…: 0000 [#1]
//	invalid opcode: 0000 [#1]
//	Internal error: Oops - BTI: 0000000036000003 [#1]
func beginLinuxOops(s *segment, open assembler) assembler {
	b := bytes.TrimSpace(s.body)
	if _, ok := after(b, "stack guard page was hit"); ok && bytes.HasPrefix(b, []byte("BUG: ")) {
		return linuxStack(s, b)
	}
	for _, mark := range [...]string{"page fault for address: ", "kernel paging request at virtual address ", "kernel paging request at ",
		"NULL pointer dereference, address: ", "NULL pointer dereference at virtual address ", "NULL pointer dereference at ",
		"memory at virtual address "} {
		rest, ok := after(b, mark)
		arm := bytes.HasPrefix(b, []byte("Unable to handle kernel "))
		if !ok || !arm && !bytes.HasPrefix(b, []byte("BUG: ")) {
			continue
		}
		f := newFault(PageFault, "linux-oops", s)
		if v, n := hexValue(rest); n > 0 {
			f.Address = Value(v)
		}
		switch {
		case arm:
			f.Arch = arch.ARM64
			if f.Address.Known {
				f.setReg(Register{Name: "FAR_EL1", Value: f.Address})
			}
		default:
			f.Arch = arch.X86_64
		}
		f.lacks("addresses of code (Linux prints symbols)")
		return &linux{f: f}
	}
	what, code, ok := dieLine(b)
	if !ok {
		return nil
	}
	if l, is := open.(*linux); is && !l.died && sameMoment(l.f, s) {
		l.counter(b)
		return l
	}
	f := newFault(dieKind(what), "linux-oops", s)
	if arm := bytes.HasPrefix(b, []byte("Internal error: ")); f.Kind == UnknownTrap && !arm {
		return nil
	}
	l := &linux{f: f}
	f.Reason, f.derived = what, true
	if f.Arch == nil && f.Kind != UnknownTrap {
		f.Arch = arch.X86_64
	}
	l.counter(b)
	if w := hexAfter(b, "non-canonical address "); w.Known {
		f.Subkind = SubNonCanonical
		f.InferredAddress = w
		f.infer("address: by the kernel, from the instruction and the registers (" + what + ")")
		f.Reason, f.derived = "general protection: use of "+w.hex()+", which is no canonical address", false
	} else if f.Kind == GeneralProtection && code.V != 0 {
		f.ErrorCode = code
	}
	f.lacks("addresses of code (Linux prints symbols)")
	return l
}

// linuxStack takes "BUG: TASK stack guard page was hit at X (stack is X..X)".
func linuxStack(s *segment, b []byte) assembler {
	f := newFault(StackOverflow, "linux-oops", s)
	f.Subkind = SubGuardPage
	f.Arch = arch.X86_64
	if w := hexAfter(b, "was hit at "); w.Known {
		f.Address = w
	}
	if rest, ok := after(b, "(stack is "); ok {
		if text, _, ok := bytes.Cut(rest, []byte(")")); ok && len(text) < maxName {
			f.detail("stack", string(text))
		}
	}
	return &linux{f: f}
}
