// Package gdbdiff holds the differential test of ukdbg against gdb: it stops a
// guest, dumps it once and compares what the two say of the same moment.
//
// gdb-multiarch is given the dump as one synthetic ELF core per thread. Which
// threads there are and what their registers were is worked out in the test,
// from the dump and from layouts written down by hand (see layout_test.go), so
// that nothing of ukdbg can agree with itself. ukdbg is attached to the same
// guest, paused as it is, and leaves it paused. gdb has no executable file, only
// symbols: every byte it shows comes from the dump.
//
// Compared are every frame of every thread (pc, function, file, line, inlining,
// tail calls), print, ptype and whatis of every global variable, nested members,
// and the variables of every frame with what they point to. Where gdb cannot say
// what is so, a rule of this test stands in; each is explained where it is applied:
//
//   - settle: inside a context switch the VM goes on for a moment.
//   - framesOf: arm64's vectors save what no call frame information describes, so
//     gdb gets a further core made of the saved struct __regs.
//   - rules: the return address 0 below an x86 stack is no frame.
//   - compareFrames: where gdb's stack ends in no code, ukdbg says it ends early.
//   - sameButLost, madeOfLost: gdb shows registers a call destroyed, or reckons with
//     them, ukdbg says that they are lost.
//   - lineZero: code of line 0 has no line; gdb goes on with the line before.
//   - listedOnce: gdb lists variables of inlined functions twice, once as optimized out.
//   - enteredInline: gdb takes a wrong frame for the caller of an inlined function.
//   - compareVariables: the words for a frame without debug information differ.
//   - compareMembers: gdb takes sizeof for an int.
//   - dump.unmap: null and guard pages are memory, but not mapped.
//
// Formats: ELF core notes NT_PRSTATUS as of Linux (struct elf_prstatus), which
// QEMU's dump-guest-memory writes too; dump without paging, so that the virtual
// addresses of segments are the physical ones. The guests map both alike.
package gdbdiff
