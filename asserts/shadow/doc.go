// Package shadow reads the shadow memory of a sanitized guest: the bytes that
// tell, for each eight bytes of memory, which of them may be used and why not.
//
//	m := shadow.Map{Flavour: shadow.Mimiker, Start: …, Offset: …, First: …, Last: …}
//	bad, code, err := m.Check(ctx, mem, addr, size)
//	dump, err := m.Around(ctx, mem, addr)
//
// A shadow byte of 0 says that all eight bytes are good, 1 to 7 that so many of
// the first are, 0x80 and more that none is, and which kind of redzone they are.
// What a kind's number is called differs from one runtime to the other, so the
// flavour is always given, never guessed from the bytes.
//
// The drawing is that of AddressSanitizer: sixteen shadow bytes a line, an arrow
// before the line of the address, its byte in brackets.
//
// Specification: LLVM compiler-rt/lib/asan/asan_internal.h and asan_mapping.h;
// Linux mm/kasan/kasan.h; Mimiker sys/kern/kasan.c as ported to Unikraft (pull
// request 191, FlexOS). Layouts are compared in a test with what real runtimes
// print.
package shadow
