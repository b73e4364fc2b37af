package shadow

import "fmt"

// Flavour is one sanitizer runtime's set of codes.
type Flavour struct {
	// Name is what people call it.
	Name string
	// Codes are the kinds of redzone, in the order of the legend.
	Codes []Code
}

// Code is one kind of redzone.
type Code struct {
	Byte byte
	Text string
	// Sub is the kind of fault an access to it is, in ukdbg's words.
	Sub string
}

// Subkinds of what Check finds; they are those of package asserts.
const (
	useAfterFree   = "use-after-free"
	heapOverflow   = "heap-buffer-overflow"
	stackOverflow  = "stack-buffer-overflow"
	globalOverflow = "global-buffer-overflow"
	afterScope     = "use-after-scope"
	afterReturn    = "use-after-return"
	outOfBounds    = "out-of-bounds"
)

// Mimiker is the runtime of Unikraft and its forks.
var Mimiker = &Flavour{Name: "Unikraft's KASAN", Codes: []Code{
	{0xf1, "Stack left redzone", stackOverflow},
	{0xf2, "Stack mid redzone", stackOverflow},
	{0xf3, "Stack right redzone", stackOverflow},
	{0xfa, "Global redzone", globalOverflow},
	{0xfb, "Kmem freed", useAfterFree},
	{0xfc, "Pool redzone", heapOverflow},
	{0xfd, "Pool freed", useAfterFree},
	{0xfe, "Heap redzone", heapOverflow},
	{0xff, "Freed heap region", useAfterFree},
}}

// Linux is generic KASAN of the Linux kernel.
var Linux = &Flavour{Name: "Linux's KASAN", Codes: []Code{
	{0xff, "Freed page", useAfterFree},
	{0xfe, "Page redzone", outOfBounds},
	{0xfc, "Slab redzone", heapOverflow},
	{0xfb, "Freed slab object", useAfterFree},
	{0xfa, "Freed slab object, with its free track", useAfterFree},
	{0xf9, "Global redzone", globalOverflow},
	{0xf8, "Not mapped by vmalloc", outOfBounds},
	{0xf1, "Stack left redzone", stackOverflow},
	{0xf2, "Stack mid redzone", stackOverflow},
	{0xf3, "Stack right redzone", stackOverflow},
	{0xf4, "Stack partial redzone", stackOverflow},
	{0xca, "Left alloca redzone", stackOverflow},
	{0xcb, "Right alloca redzone", stackOverflow},
}}

// User is AddressSanitizer of programs.
var User = &Flavour{Name: "AddressSanitizer", Codes: []Code{
	{0xfa, "Heap left redzone", heapOverflow},
	{0xfd, "Freed heap region", useAfterFree},
	{0xf1, "Stack left redzone", stackOverflow},
	{0xf2, "Stack mid redzone", stackOverflow},
	{0xf3, "Stack right redzone", stackOverflow},
	{0xf5, "Stack after return", afterReturn},
	{0xf8, "Stack use after scope", afterScope},
	{0xf9, "Global redzone", globalOverflow},
	{0xf6, "Global init order", "initialization-order"},
	{0xf7, "Poisoned by user", "use-after-poison"},
	{0xfc, "Container overflow", "container-overflow"},
	{0xac, "Array cookie", heapOverflow},
	{0xbb, "Intra object redzone", "intra-object-overflow"},
	{0xfe, "ASan internal", ""},
	{0xca, "Left alloca redzone", stackOverflow},
	{0xcb, "Right alloca redzone", stackOverflow},
}}

// Describe says what a shadow byte means and which kind of fault an access to
// such memory is.
func (f *Flavour) Describe(b byte) (text, sub string) {
	switch {
	case b == 0:
		return "Addressable", ""
	case b < Granule:
		return "Partially addressable", outOfBounds
	}
	for _, c := range f.Codes {
		if c.Byte == b {
			return c.Text, c.Sub
		}
	}
	return fmt.Sprintf("Unknown (%#x)", b), ""
}
