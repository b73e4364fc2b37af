package ctype

import "github.com/ukdbg/ukdbg/target"

// Frame is what is known of one frame of a stack, for finding its variables.
type Frame struct {
	// Regs are the registers as they are in this frame; what unwinding does
	// not know is absent.
	Regs target.Regs
	// CFA is the frame's canonical frame address, 0 if it is not known.
	CFA uint64
	// PC is the link-time address the frame stands at: for a caller the return
	// address.
	PC uint64
	// LookupPC is the link-time address that lies in the code the frame is in:
	// PC, or for a caller one less.
	LookupPC uint64
	// Inline counts calls that were inlined at this place, from the innermost:
	// 0 means the innermost, as in symbolizer.Resolve.
	Inline int
	// Caller returns the frame that called this one, or nil where it is not
	// known or not wanted. It serves values a function was entered with.
	Caller func() *Frame
	// Reader reads by the types of the image this frame is in, nil if that is the
	// image of the frame it called.
	Reader *Reader
}
