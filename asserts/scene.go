package asserts

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// scene is one fault and what is at hand to judge it by.
type scene struct {
	ctx context.Context
	f   *Fault
	m   *Machine
	// page is what the signal that ended a process tells of the page.
	page pageState
}

// conclude completes a fault read from text with what its own lines prove.
func conclude(f *Fault) {
	s := scene{ctx: context.Background(), f: f, m: &Machine{Memory: rowMemory(f.Memory)}}
	s.classify()
	s.finish()
}

// classify decides kind and subkind from trap, error code, address and the
// bytes at pc. It reports whether it knows the fault.
func (s *scene) classify() bool {
	switch s.f.Kind {
	case Assertion, Warning, StackSmash, UndefinedBehavior, AddressSanitizer:
		return true // the report said it; registers are context only
	}
	if s.f.Arch == nil {
		if s.f.Kind == PageFault {
			s.addressClass(pageState{}, Word{})
		}
		return true
	}
	switch s.f.Arch.Name {
	case "x86_64":
		return s.x86()
	case "arm64":
		return s.arm64()
	}
	return false
}

// finish writes what every fault has: the pc as first frame, a reason, what is
// missing.
func (s *scene) finish() {
	f := s.f
	if f.PC.Known && (len(f.Backtrace) == 0 || f.Backtrace[0].Kind != AtPC) && len(f.Registers) > 0 {
		f.Backtrace = slices.Insert(f.Backtrace, 0, CodeAddr{Addr: f.PC.V, Kind: AtPC})
		f.Backtrace = f.Backtrace[:min(len(f.Backtrace), maxBacktrace)]
	}
	switch f.Kind {
	case PageFault, ProtectionKey, StackOverflow:
		s.reason(s.pageReason())
	}
	s.fallback(string(f.Kind))
	for _, r := range f.Registers {
		if !r.Value.Known {
			f.lacks("the whole value of " + r.Name + " (cut in the log)")
		}
	}
	if f.Kind == PageFault || f.Kind == ProtectionKey && f.Subkind != SubGate {
		s.missing(f.Address, "fault address")
		s.missing(f.ErrorCode, "error code")
	}
	f.NotPrinted = slices.DeleteFunc(f.NotPrinted, func(n string) bool {
		switch n {
		case "error code":
			return f.ErrorCode.Known
		case "trap number": // arm64 has none: the syndrome register says it
			return f.ErrorCode.Known && f.Arch != nil && f.Arch.Name == "arm64"
		case "registers":
			return len(f.Registers) > 0
		case "fault address":
			return f.Address.Known
		}
		return false
	})
}

// missing notes that the source does not tell name.
func (s *scene) missing(w Word, name string) {
	if !w.Known && s.f.Source.Format != MachineFormat {
		s.f.lacks(name)
	}
}

// pageReason describes a fault on an address in a sentence.
func (s *scene) pageReason() string {
	f := s.f
	verb := map[Access]string{Read: "read of", Write: "write to", Exec: "jump to", "": "access to"}[f.Access]
	addr := "an address that was not printed"
	if f.Source.Format == MachineFormat {
		addr = "an address that is not known"
	}
	if f.Address.Known {
		addr = fmt.Sprintf("%#x", f.Address.V)
	} else if f.InferredAddress.Known {
		addr = fmt.Sprintf("%#x (inferred)", f.InferredAddress.V)
	}
	switch f.Kind {
	case PageFault:
		switch f.Subkind {
		case SubNullDereference:
			return verb + " " + addr + " through a null pointer"
		case SubNullCall:
			return "call of a null function pointer"
		case SubWildJump:
			return "jump to " + addr + ", where no code is"
		case SubWriteToReadOnly:
			return "write to read-only memory at " + addr
		case SubExecuteNoExecute:
			return "jump to " + addr + ", which is not executable"
		case SubNotPresent:
			return verb + " " + addr + ", where nothing is mapped"
		case SubProtection:
			return verb + " " + addr + ", which its page does not allow"
		case SubReservedBit:
			return verb + " " + addr + ", whose page-table entry has reserved bits set"
		}
		// Whether something is mapped there was not told.
		return verb + " " + addr
	case ProtectionKey:
		return verb + " " + addr + s.keyReason()
	}
	at := f.Address
	if !at.Known {
		at = f.InferredAddress
	}
	if lo := s.m.StackLow; lo != 0 && at.Known && at.V < lo && lo-at.V <= stackBelow {
		return fmt.Sprintf("stack overflow: %s %s, %d bytes below the thread's stack", verb, addr, lo-at.V)
	}
	if f.Subkind == SubGuardPage {
		return "stack overflow: a thread's stack ran into its guard page"
	}
	return "stack overflow: " + verb + " " + addr + ", where the stack has ended"
}

// reason sets the reason unless the guest gave one in its own words.
func (s *scene) reason(text string) {
	if s.f.Reason == "" || s.f.derived {
		s.f.Reason, s.f.derived = text, true
	}
}

// fallback sets the reason if there is none at all.
func (s *scene) fallback(text string) {
	if s.f.Reason == "" {
		s.reason(text)
	}
}

// code reads up to n bytes at addr; it returns those that are readable.
func (s *scene) code(addr uint64, n int) []byte {
	if s.m.Memory == nil {
		return nil
	}
	b := make([]byte, n)
	got, _ := s.m.Memory.ReadMemory(s.ctx, b, addr)
	return b[:max(0, min(got, n))]
}

// word reads a 64-bit word.
func (s *scene) word(addr uint64) Word {
	b := s.code(addr, 8)
	if len(b) < 8 {
		return Word{}
	}
	return Value(binary.LittleEndian.Uint64(b))
}

// half reads a 32-bit word.
func (s *scene) half(addr uint64) Word {
	b := s.code(addr, 4)
	if len(b) < 4 {
		return Word{}
	}
	return Value(uint64(binary.LittleEndian.Uint32(b)))
}

// place names an address for a person.
func (s *scene) place(addr uint64) string {
	if s.m.Symbol != nil {
		if name, off, ok := s.m.Symbol(addr); ok {
			if off == 0 {
				return name
			}
			return fmt.Sprintf("%s+%#x", name, off)
		}
	}
	return fmt.Sprintf("%#x", addr)
}

// inCode says whether addr is known to be, or not to be, code of the image.
func (s *scene) outsideImage(addr uint64) bool {
	if s.m.Symbol == nil {
		return false
	}
	_, _, ok := s.m.Symbol(addr)
	return !ok
}

// PrintedMemory is the memory the report printed; the rest is not readable.
func (f *Fault) PrintedMemory() target.Memory { return rowMemory(f.Memory) }

// rowMemory is the memory a report printed.
type rowMemory []MemoryRow

var _ target.Memory = rowMemory(nil)

// ReadMemory reads from the rows, across rows that adjoin.
func (m rowMemory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	n := 0
	for n < len(p) {
		got := 0
		for _, r := range m {
			if off := addr + uint64(n) - r.Addr; off < uint64(len(r.Data)) {
				got = copy(p[n:], r.Data[off:])
				break
			}
		}
		if got == 0 {
			return n, &target.FaultError{Addr: addr + uint64(n), Why: "not in the report"}
		}
		n += got
	}
	return n, nil
}
