package asserts

import (
	"fmt"
	"strings"
)

// fpDisabled is the trap of an instruction that needs floating-point or vector
// registers where they are switched off: #NM of x86 (CR0.TS or CR0.EM), exception
// class 0x07 of arm64 (CPACR_EL1.FPEN). A kernel built without support for them
// ends so as soon as a program uses one. where is the switch.
func (s *scene) fpDisabled(what, where string) {
	f := s.f
	f.Kind, f.Subkind = FloatingPoint, SubFPDisabled
	s.reason(fmt.Sprintf("%s was executed while they are disabled (%s)", what, where))
}

// fpExceptions are the exception flags of FPCR and MXCSR with their names.
var fpExceptions = [...]string{"invalid operation", "divide by zero", "overflow", "underflow", "inexact"}

// fpException is the trap of an operation whose exception is not masked. flags has
// a bit for each of fpExceptions; none means that it is not told which.
func (s *scene) fpException(flags uint64) {
	f := s.f
	f.Kind, f.Subkind = FloatingPoint, SubFPException
	var names []string
	for i, n := range fpExceptions {
		if flags>>i&1 != 0 {
			names = append(names, n)
		}
	}
	text := "a floating-point operation raised an exception that is not masked"
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	s.reason(text)
}

// arm64Class names the exception classes that have no case of their own (Arm ARM
// D17.2.37).
func arm64Class(ec uint64) string {
	name := map[uint64]string{
		0x01: "a wfi or wfe was trapped",
		0x09: "a pointer authentication instruction was trapped",
		0x0a: "a load or store of 64 bytes was trapped",
		0x0c: "a system register access was trapped",
		0x14: "a 128-bit system register access was trapped",
		0x15: "a system call (svc) that nothing handles",
		0x16: "a hypervisor call (hvc) that nothing handles",
		0x17: "a secure monitor call (smc) that nothing handles",
		0x18: "a system register access or a system instruction was trapped",
		0x1d: "an SME instruction while SME is disabled",
		0x27: "a memory copy or set instruction went on under wrong conditions",
		0x30: "a hardware breakpoint of a lower level", 0x31: "a hardware breakpoint",
		0x32: "a software step of a lower level", 0x33: "a software step",
		0x34: "a watchpoint of a lower level", 0x35: "a watchpoint",
	}[ec]
	if name == "" {
		return fmt.Sprintf("exception class %#x", ec)
	}
	return fmt.Sprintf("%s (exception class %#x)", name, ec)
}
