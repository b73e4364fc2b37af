package symbolizer

import (
	"errors"
	"fmt"
)

// ErrNoDWARF says that an image has symbols and no debug information: names
// work, lines, inlined calls and types do not.
var ErrNoDWARF = errors.New("image has no debug information (DWARF): build with -g and give the unstripped file, for Unikraft NAME.dbg")

// ErrStripped says that an image has neither symbols nor debug information.
var ErrStripped = errors.New("image is stripped, it has neither symbols nor debug information: give the unstripped file, for Unikraft NAME.dbg")

// ErrNoBytes says that an image holds no content for its code, as a file made
// by "objcopy --only-keep-debug" does.
var ErrNoBytes = errors.New("image file holds no code bytes (made with --only-keep-debug?)")

// WrapperError says that a file is the bootable form of an image, which has no
// 64-bit symbols: the 32-bit multiboot ELF or the arm64 Linux Image that a
// Unikraft build leaves beside NAME.dbg.
type WrapperError struct {
	// Path is the file that was opened.
	Path string
	// What names its form.
	What string
	// Found is the .dbg file that lies beside it, "" if there is none.
	Found string
}

func (e *WrapperError) Error() string {
	if e.Found != "" {
		return fmt.Sprintf("%s is %s without symbols: give %s", e.Path, e.What, e.Found)
	}
	return fmt.Sprintf("%s is %s without symbols: give the NAME.dbg file of the same build", e.Path, e.What)
}

// FormatError says that a file is not an ELF image we can read, or is damaged.
type FormatError struct {
	// Path is the file.
	Path string
	// What says what is wrong, and at which offset where that helps.
	What string
}

func (e *FormatError) Error() string { return e.Path + ": " + e.What }

// Reason tells why an address has no symbol.
type Reason int

// The reasons.
const (
	// NotInImage: no section of the image holds the address.
	NotInImage Reason = iota
	// NotCode: the address is in a section without code.
	NotCode
	// PastEnd: the nearest symbol ends before the address.
	PastEnd
	// BeforeFirst: no symbol of the section starts at or below the address.
	BeforeFirst
)

func (r Reason) String() string {
	switch r {
	case NotInImage:
		return "not in the image"
	case NotCode:
		return "not code"
	case PastEnd:
		return "past the end of the nearest symbol"
	case BeforeFirst:
		return "before the first symbol"
	}
	return fmt.Sprintf("Reason(%d)", int(r))
}

// NoSymbol says why an address could not be resolved.
type NoSymbol struct {
	// Addr is the link-time address asked for.
	Addr uint64
	// Reason is why.
	Reason Reason
	// Section is the section the address is in, "" if none.
	Section string
	// Near is the nearest symbol below with PastEnd, "" otherwise.
	Near string
}

func (e *NoSymbol) Error() string {
	switch {
	case e.Near != "":
		return fmt.Sprintf("no symbol for %#x: %s, %s", e.Addr, e.Reason, e.Near)
	case e.Section != "":
		return fmt.Sprintf("no symbol for %#x: %s (section %s)", e.Addr, e.Reason, e.Section)
	}
	return fmt.Sprintf("no symbol for %#x: %s", e.Addr, e.Reason)
}
