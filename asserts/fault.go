package asserts

import (
	"github.com/ukdbg/ukdbg/asserts/shadow"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Word is a machine word that may not be known. The zero value is unknown.
type Word struct {
	V     uint64
	Known bool
}

// Value returns a known word.
func Value(v uint64) Word { return Word{V: v, Known: true} }

// Access says what the faulting instruction did with the address.
type Access string

// The ways of an access; "" if it is not known.
const (
	Read  Access = "read"
	Write Access = "write"
	Exec  Access = "execute"
)

// Register is one register of the faulting context. Name is gdb's where gdb
// has one. Text keeps the digits of a value that was cut in the log: then Value
// is unknown.
type Register struct {
	Name  string
	Value Word
	Text  string
}

// AddrKind says how a code address is to be looked up.
type AddrKind string

const (
	// AtPC: the address of an instruction, looked up as it is.
	AtPC AddrKind = "pc"
	// ReturnAddr: the address after a call; look up one byte before.
	ReturnAddr AddrKind = "return"
	// BeforeReturn: a return address the guest already took 1 from.
	BeforeReturn AddrKind = "return-1"
)

// CodeAddr is one entry of a backtrace.
type CodeAddr struct {
	Addr uint64
	Kind AddrKind
	// Function is the name the report itself gives the place, without offset or
	// module; "" if it gives none. Addr is 0 then if only the name was printed.
	Function string
	// Offset is how far into Function the place is, if that was printed.
	Offset Word
	// Place is the source line the report itself names.
	Place Location
	// How names a guess: "" for what was printed or read as a frame, else how
	// the address was found.
	How string
}

// Lookup is the address to symbolize.
func (c CodeAddr) Lookup() uint64 {
	if c.Kind == ReturnAddr && c.Addr != 0 {
		return c.Addr - 1
	}
	return c.Addr
}

// Printed says that the entry's address was printed, not only a name.
func (c CodeAddr) Printed() bool { return c.Addr != 0 || c.Function == "" && c.Place.File == "" }

// Location is a place in source text named by the report itself. Line and
// Column are 0 when it names none.
type Location struct {
	File   string
	Line   int
	Column int
}

// Source says where a report was found. Lines count from 1; ByteOffset is that
// of the first byte of the first line. For a fault read from the machine, or
// from a console ring, only Format is set.
type Source struct {
	Format     string
	FirstLine  int64
	LastLine   int64
	ByteOffset int64
}

// Detail is a fact of a report that has no field of its own.
type Detail struct{ Name, Value string }

// MemoryRow is a piece of memory the report printed.
type MemoryRow struct {
	Addr uint64
	Data []byte
}

// Consequence is a later report that follows from a fault.
type Consequence struct {
	Kind    Kind
	Subkind string
	Reason  string
	Source  Source
}

// Fault is one fault of a guest, whatever told of it.
type Fault struct {
	Kind    Kind
	Subkind string
	// Reason is one sentence, in the guest's words where it has any.
	Reason string
	Arch   *arch.Arch // nil if the report does not tell
	Kernel string     // name and version the guest printed, "" if none
	Thread string     // "" if not known
	// ThreadAddr is the address of the thread's struct.
	ThreadAddr Word
	derived    bool // Reason was made here and may give way to a better one
	goesOn     bool // the guest survives what the report tells
	// GuestTime is the guest's clock in microseconds at the first line.
	GuestTime Word
	// Address is the fault address as printed or read.
	Address Word
	// InferredAddress is the fault address computed from the instruction and
	// the registers, when Address is unknown.
	InferredAddress Word
	Access          Access
	TrapNumber      Word
	ErrorCode       Word // x86: as pushed; arm64: ESR_EL1
	PC              Word
	Registers       []Register
	Backtrace       []CodeAddr
	Location        Location
	Details         []Detail
	Memory          []MemoryRow
	Source          Source
	Inferred        []string
	NotPrinted      []string
	// Cause is the most likely cause, Object what the address belongs to (nil
	// if not known), Shadow the sanitizer's memory around it (nil if none), Next
	// what to look at next.
	// Instruction is the one at PC, in GNU syntax, "" if not known.
	Cause        Cause
	Instruction  string
	Object       *Object
	Shadow       *shadow.Dump
	Next         []string
	Consequences []Consequence
	// MoreConsequences counts those beyond the ones kept.
	MoreConsequences int
}

// Limits of one fault.
const (
	maxRegisters    = 64
	maxBacktrace    = 64
	maxMemoryRows   = 32
	maxDetails      = 32
	maxConsequences = 16
	maxNotes        = 16
)

// Reg returns the register called name.
func (f *Fault) Reg(name string) Word {
	for i := range f.Registers {
		if f.Registers[i].Name == name {
			return f.Registers[i].Value
		}
	}
	return Word{}
}

// Regs returns the fault's registers as a set of its architecture. Registers
// that were cut or not told are absent. ok is false without an architecture.
func (f *Fault) Regs() (regs target.Regs, ok bool) {
	if f.Arch == nil {
		return target.Regs{}, false
	}
	regs = target.NewRegs(f.Arch)
	for _, r := range f.Registers {
		if reg, found := f.Arch.Reg(r.Name); found && r.Value.Known {
			regs.Set(reg.Num, r.Value.V)
		}
	}
	return regs, true
}

// Detail returns the value of the detail called name, "" if there is none.
func (f *Fault) Detail(name string) string {
	for _, d := range f.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

func (f *Fault) setReg(r Register) {
	for i := range f.Registers {
		if f.Registers[i].Name == r.Name {
			return // the first report of a register is the fault's
		}
	}
	if len(f.Registers) < maxRegisters {
		f.Registers = append(f.Registers, r)
	}
}

func (f *Fault) frame(c CodeAddr) {
	if len(f.Backtrace) < maxBacktrace {
		f.Backtrace = append(f.Backtrace, c)
	}
}

func (f *Fault) row(addr uint64, data []byte) {
	if len(f.Memory) < maxMemoryRows {
		f.Memory = append(f.Memory, MemoryRow{Addr: addr, Data: data})
	}
}

func (f *Fault) detail(name, value string) {
	if len(f.Details) < maxDetails && f.Detail(name) == "" {
		f.Details = append(f.Details, Detail{name, value})
	}
}

// redetail sets a detail that names say better than the text did.
func (f *Fault) redetail(name, value string) {
	for i := range f.Details {
		if f.Details[i].Name == name {
			f.Details[i].Value = value
			return
		}
	}
	f.detail(name, value)
}

func (f *Fault) infer(note string) { f.Inferred = note1(f.Inferred, note) }
func (f *Fault) lacks(note string) { f.NotPrinted = note1(f.NotPrinted, note) }

// note1 adds a note once.
func note1(list []string, note string) []string {
	for _, n := range list {
		if n == note {
			return list
		}
	}
	if len(list) >= maxNotes {
		return list
	}
	return append(list, note)
}

// follow records g, a later report, as a consequence of f.
func (f *Fault) follow(g *Fault) {
	f.MoreConsequences += g.MoreConsequences
	if len(f.Consequences) >= maxConsequences {
		f.MoreConsequences++
		return
	}
	f.Consequences = append(f.Consequences, Consequence{g.Kind, g.Subkind, g.Reason, g.Source})
}
