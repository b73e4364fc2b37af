// Package unwind walks a guest's stack: from the registers of one place to
// those of its callers.
//
//	frames, err := unwind.Unwind(ctx, mem, mods, regs, unwind.Options{})
//	for _, f := range frames {
//		locs, _ := mods.Resolve(f.LookupPC)
//		fmt.Println(f.PC, f.How, locs)
//	}
//
// Each frame says how it was found. Call frame information is used where the
// image has any, through traps too, whose entry code is described by signal
// frames. Where there is none, what the code shows (the start of the function,
// the frame pointer, the link register) is used, and last the stack is searched
// for return addresses; such a frame may be wrong and is marked Scan.
//
// The walk ends with a nil error at the bottom of the stack: a return address
// that call frame information calls undefined or that is 0, or a function the
// caller named as entry. Otherwise a *StopError says why it went no further,
// and the frames before it stand.
//
// Functions that ended in a jump are on no stack; TailCalls adds those that call
// sites prove, as gdb does.
//
// Stack memory is read in chunks and kept for one walk, because each read of a
// live guest costs a round trip. What was read is not trusted: the depth is
// limited, and frames must lie in the order of the stack, so that a damaged
// stack cannot make the walk loop.
//
// Specification: DWARF 5, sections 3.4 and 6.4; System V ABI AMD64 supplement, section
// 3.2.2; Procedure Call Standard for the Arm 64-bit Architecture, section 6.4.6.
package unwind
