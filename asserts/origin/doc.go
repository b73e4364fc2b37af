// Package origin tells in C where the value of a register came from: that the
// rax of "mov 0x8(%rax),%eax" is r->conn, and that what was read through it is
// its member fd.
//
// A fault names a register and an address; a person thinks in variables. Between
// the two are the instructions of the function, which say what was loaded from
// where, and the debug information, which says which variable is in which
// register at which instruction and what type it points to.
//
//	fn, err := origin.ReadFunc(ctx, arch, memory, start, end)  // one function's code
//	x := origin.Finder{Func: fn, Frame: frame, Reader: reader, ...}
//	op, ok := x.Operand(pc)          // the memory the instruction at pc uses
//	who, ok := x.Register(op.Base, pc) // r->conn, struct conn *
//	path, ok := origin.Member(who.Type.Elem(), op.Disp, op.Size) // fd
//
// # How
//
// The code is decoded once, in order. For a register at an instruction all ways
// back to what wrote it are followed; the answer counts only if they all lead to
// the same instruction. That one is a copy, a load, a sum, a constant or a call,
// and is told in C by what its own operands are. A variable that the debug
// information places in the register ends the search. What cannot be followed
// (an indirect jump into the middle, bytes that are no instruction, two writers)
// is not known, never guessed.
//
// Everything found so is an inference: the compiler may have kept in a register
// what the source reads anew.
//
// Specification: Intel SDM volume 2; Arm ARM (DDI 0487) chapter C4 (A64
// encodings); System V ABI for x86-64 and AAPCS64 (registers that a call keeps);
// DWARF 5 chapter 2.6.2 (location lists).
package origin
