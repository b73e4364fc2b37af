package asserts

import "fmt"

// Cause is the most likely cause of a fault in one sentence.
type Cause struct {
	// Text is the sentence: "read through a null pointer: r->conn is NULL, field
	// fd". "" if no more is known than the reason.
	Text string
	// Public is Text without text from the guest's memory, which a pointer held: what
	// may be told to others.
	Public string
	// From says what it was concluded from, "" if it was told.
	From string
}

// Object is what an address belongs to.
type Object struct {
	// Kind is symbol, section, stack, guard-page, thread, heap, trace-buffer,
	// console-ring, page-table, mmio, unmapped, ram, or variable for one of a
	// function on the stack.
	Kind string
	// Name is a symbol's, a section's, a thread's, an allocator's or a variable's.
	Name string
	// Addr and Size are its own, Offset that of the address in it; it is
	// negative before it and beyond Size behind it.
	Addr, Size uint64
	Offset     int64
	// Section of the image, "" outside it.
	Section string
	// Text says it in words.
	Text string
}

// poisons are the bytes that allocators, kernels and compilers fill memory with
// that must not be used, so that a pointer made of them tells where it was read.
var poisons = [...]struct {
	b    byte
	what string
	free bool
}{
	{0x6b, "what Linux's slab allocator fills freed objects with", true},
	{0x5a, "what Linux's slab allocator fills fresh objects with, jemalloc freed ones", false},
	{0xa5, "what jemalloc and BSD fill fresh memory with", false},
	{0xdd, "what debugging heaps fill freed memory with", true},
	{0xde, "what OSv and others fill freed memory with", true},
	{0xdf, "what BSD's allocators fill freed memory with", true},
	{0xfd, "what debugging heaps put behind an allocation", false},
	{0xcd, "what debugging heaps fill fresh memory with", false},
	{0xcc, "what compilers fill uninitialized stack with", false},
	{0xaa, "what clang fills uninitialized variables with", false},
	{0xfe, "what gcc fills uninitialized variables with", false},
	{0x41, "the letter A repeated: input that overran its buffer", false},
	{0xff, "all ones: -1, or memory that was never written", false},
}

// listPoisons are whole values (Linux include/linux/poison.h and spinlock_types.h).
var listPoisons = [...]struct {
	lo, hi uint64
	what   string
	free   bool
}{
	{0xdead000000000100, 0xdead000000000121, "the next pointer of an entry that was taken off its list (LIST_POISON1)", true},
	{0xdead000000000122, 0xdead0000000001ff, "the previous pointer of an entry that was taken off its list (LIST_POISON2)", true},
}

// Poison tells whether a pointer's value is a pattern that some allocator or
// compiler marks memory with, and which; offset bytes may have been added to it.
// freed says that the pattern marks freed memory.
func Poison(v uint64) (what string, freed, ok bool) {
	for _, p := range listPoisons {
		if v >= p.lo && v <= p.hi {
			return p.what, p.free, true
		}
	}
	b := byte(v >> 16)
	for shift := 24; shift < 48; shift += 8 {
		if byte(v>>shift) != b {
			return "", false, false
		}
	}
	// Bits 63:48 are the pattern too, or were cut to make it canonical.
	if top := v >> 48; top != uint64(b)<<8|uint64(b) && top != 0 && top != 0xffff {
		return "", false, false
	}
	// The low two bytes may hold an offset, but not all of the pattern may be
	// gone: 0xff is the top of a kernel's address space.
	if b == 0xff && v>>16 == 1<<48-1 && v < ^uint64(0)-4095 || v>>16 == 1<<32-1 && b == 0xff {
		return "", false, false
	}
	for _, p := range poisons {
		if p.b == b {
			return fmt.Sprintf("the byte %#x repeated, %s", b, p.what), p.free, true
		}
	}
	return "", false, false
}

// TextBytes tells whether a word looks like text that was written over a
// pointer: at least six printable characters, the rest zero.
func TextBytes(v uint64) (string, bool) {
	var out []byte
	for i := 0; i < 8; i++ {
		c := byte(v >> (8 * i))
		if c == 0 {
			if v>>(8*i) != 0 {
				return "", false
			}
			break
		}
		if c < 0x20 && c != '\n' || c > 0x7e {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), len(out) >= 6
}
