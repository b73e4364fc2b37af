package expr

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Symbols finds ELF symbols by run-time address and by name.
type Symbols interface {
	// SymbolAt returns the symbol an address belongs to and its start.
	SymbolAt(addr uint64) (name string, start uint64, ok bool)
	// FunctionAt returns the function whose code is at an address, by debug
	// information.
	FunctionAt(addr uint64) (name string, start uint64, ok bool)
	// SymbolByName returns a symbol's address; code tells a function.
	SymbolByName(name string) (addr uint64, code bool, ok bool)
	// SectionAt returns the name of the section an address is in.
	SectionAt(addr uint64) (name string, ok bool)
}

// MemoryWriter changes the guest's memory, for assignments.
type MemoryWriter interface {
	WriteMemory(ctx context.Context, p []byte, addr uint64) error
}

// RegisterWriter changes a register of the selected frame.
type RegisterWriter interface {
	WriteRegister(num int, v uint64) error
}

// Env is what an expression is evaluated in. Reader is needed, the rest is
// optional: without it, what would need it is an error.
type Env struct {
	Reader *ctype.Reader
	// Others read by the types of the guest's other images, for names that Reader
	// does not know.
	Others  []*ctype.Reader
	Symbols Symbols
	Arch    *arch.Arch
	// Frame is the selected frame, for registers and what is in scope.
	Frame *ctype.Frame
	// Memory and Registers take assignments.
	Memory    MemoryWriter
	Registers RegisterWriter
	// Vars holds convenience variables, $NAME. It is made when needed.
	Vars map[string]ctype.Value
	// History holds the values printed, $1 first.
	History []ctype.Value

	examined ExamineFormat // what the last x command showed
	next     uint64        // the address after it
	scope    *ctype.Scope
	scopeFor scopeKey
}

type scopeKey struct {
	types  *ctype.Types
	pc     uint64
	inline int
	set    bool
}

// MemoryError says that memory an expression needs cannot be read or written.
type MemoryError struct {
	Addr uint64
	Err  error
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("Cannot access memory at address %#x", e.Addr)
}

// Unwrap returns what the memory said.
func (e *MemoryError) Unwrap() error { return e.Err }

// memoryError words an error of a read as gdb does.
func memoryError(err error) error {
	var f *target.FaultError
	if errors.As(err, &f) && !errors.Is(err, target.ErrLost) {
		return &MemoryError{Addr: f.Addr, Err: err}
	}
	return err
}

// Error is an expression that means nothing here: a name nobody knows, an
// operator that does not suit its operands.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// currentScope returns what is in scope at the selected frame, or nil.
func (e *Env) currentScope() *ctype.Scope {
	if e.Frame == nil {
		return nil
	}
	key := scopeKey{e.Reader.Types(), e.Frame.LookupPC, e.Frame.Inline, true}
	if e.scopeFor != key {
		e.scope, _ = e.Reader.Types().Scope(key.pc, key.inline)
		e.scopeFor = key
	}
	return e.scope
}
