package unikraft

import (
	"github.com/ukdbg/ukdbg/target/arch"
)

// Image is what this package asks of an image. All addresses are link-time.
// FromSymbolizer makes one of an ELF image with DWARF.
type Image interface {
	Arch() *arch.Arch
	// SymbolByName returns a symbol's address and size in bytes.
	SymbolByName(name string) (addr, size uint64, ok bool)
	// SymbolAt returns the symbol addr lies in and the offset of addr in it.
	SymbolAt(addr uint64) (name string, off uint64, ok bool)
	// Field returns a member of a struct ("uk_thread", "ctx.ip"): offset and
	// size in bytes.
	Field(structure, path string) (off, size uint64, err error)
	// SizeOf returns the size of a struct in bytes.
	SizeOf(structure string) (uint64, error)
	// ReadOnlyData returns the bytes of the read-only data.
	ReadOnlyData() []byte
	// Macro returns the value of a C macro that the debugging information
	// records (-g3), quotes removed.
	Macro(name string) (value string, ok bool)
	// WaitObjects lists the wait queues that are, or are part of, variables at
	// file scope.
	WaitObjects() []WaitObject
}

// WaitObject is a wait queue at a fixed place.
type WaitObject struct {
	// Name is how C names it: "cache.lock".
	Name string
	// Kind is "mutex", "semaphore" or "wait queue".
	Kind string
	// Addr is the link-time address of the object, Queue that of its struct
	// uk_waitq, Owner that of the pointer to the thread that holds it, 0 if it
	// has none.
	Addr, Queue, Owner uint64
}
