package asserts

import (
	"bytes"
	"fmt"
)

// beginUKVMem takes what lib/ukvmem and the page-fault handler print before a
// register dump:
//
//	Cannot handle (read|write|exec) page fault at 0x… (ec: 0x…): Bad address (14).
//	Guard page 0x… of stack VMA 0x… - 0x… hit!
//	page fault handler returned error: -12
//	Unhandled page fault vaddr=0x…, error code=0x…
func beginUKVMem(s *segment, open assembler) assembler {
	b := s.body
	if rest, ok := after(b, "Guard page "); ok && bytes.Contains(rest, []byte(" hit!")) {
		f := pageFaultOf(s, open)
		f.Kind, f.Subkind = StackOverflow, SubGuardPage
		if v, n := hexValue(rest); n > 0 {
			f.detail("guard page", fmt.Sprintf("%#x", v))
		}
		if vma, ok := after(rest, "stack VMA "); ok {
			f.detail("stack", stackRange(vma))
		}
		return &single{f}
	}
	if rest, ok := after(b, "Cannot handle "); ok && bytes.Contains(rest, []byte("page fault at ")) {
		f := samePageFault(s, open, hexAfter(rest, "page fault at "))
		switch {
		case f.Access != "":
		case bytes.HasPrefix(rest, []byte("read")):
			f.Access = Read
		case bytes.HasPrefix(rest, []byte("write")):
			f.Access = Write
		case bytes.HasPrefix(rest, []byte("exec")):
			f.Access = Exec
		}
		f.Address = hexAfter(rest, "page fault at ")
		if ec := hexAfter(rest, "ec: "); ec.Known {
			f.ErrorCode = ec
		}
		return &single{f}
	}
	if rest, ok := after(b, "Unhandled page fault vaddr="); ok {
		f := pageFaultOf(s, open)
		if v, n := hexValue(rest); n > 0 && !f.Address.Known {
			f.Address = Value(v)
		}
		if !f.ErrorCode.Known {
			f.ErrorCode = hexAfter(rest, "error code=")
		}
		return &single{f}
	}
	if _, ok := after(b, "page fault handler returned error:"); ok {
		return &single{pageFaultOf(s, open)}
	}
	return nil
}

// pageFaultOf returns the fault of the report right before if it is a page
// fault without registers, else a new one.
func pageFaultOf(s *segment, open assembler) *Fault {
	if f := trapLike(open); f != nil && (f.Kind == PageFault || f.Kind == StackOverflow) {
		return f
	}
	return newFault(PageFault, "unikraft-ukvmem", s)
}

// samePageFault is pageFaultOf that also goes on with a fault that has its
// registers already, if its address is this one.
func samePageFault(s *segment, open assembler, addr Word) *Fault {
	if open != nil {
		f := open.fault()
		if (f.Kind == PageFault || f.Kind == ProtectionKey) && f.Address.Known && f.Address == addr && sameMoment(f, s) {
			return f
		}
	}
	return pageFaultOf(s, open)
}

// stackRange reads "0x… - 0x…" as one text.
func stackRange(b []byte) string {
	lo, n := hexValue(b)
	if n == 0 {
		return ""
	}
	rest, ok := after(b[n:], " - ")
	hi, m := hexValue(rest)
	if !ok || m == 0 {
		return ""
	}
	return fmt.Sprintf("%#x-%#x", lo, hi)
}
