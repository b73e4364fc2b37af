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
// Compared are every frame of every thread (pc, function, file, line, inlining),
// print and ptype of every global variable, nested members, and the locals of
// frames. Where gdb cannot say what the guest's stack really is, a rule of this
// test stands in; each is written down where it is applied:
//
//   - Vectors of arm64 (framesOf): no call frame information describes what they
//     saved. gdb gets a further core made of the saved struct __regs.
//   - A moment inside a context switch (settle): the VM goes on for a moment.
//
// Formats: ELF core notes NT_PRSTATUS as of Linux (struct elf_prstatus), which
// QEMU's dump-guest-memory writes too; dump without paging, so that the virtual
// addresses of segments are the physical ones. The guests map both alike.
package gdbdiff
