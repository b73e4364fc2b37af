// Package symbolizer gives meaning to addresses of a guest: functions, source
// lines, inlined calls, symbols, where to put a breakpoint, and where in the
// guest an image was loaded.
//
// An Image is one ELF file with symbols and usually DWARF, opened lazily: Open
// reads headers only, a lookup parses the one unit it needs. An Image may be
// used by many goroutines.
//
//	im, err := symbolizer.Open("build/shop_qemu-x86_64.dbg")
//	locs, err := im.Resolve(pc) // innermost inlined function first
//	for _, l := range locs {
//		fmt.Println(l.Function, l.File, l.Line)
//	}
//
// Addresses given to an Image are link-time addresses. A Mapping adds where the
// guest loaded it: run-time address = link-time address + Slide. FindSlide
// finds the slide by comparing bytes, and Prove tells whether the guest runs
// this very image. For a return address, callers pass the address minus one.
//
// What is not known is told by reason: a *NoSymbol, or Location.NoLine.
//
// Subpackages: line decodes line programs, cfi call frame information, unwind
// walks stacks, ctype and expr know types and expressions.
//
// Debug information may lie apart from the image: in a debug file that OpenWith
// finds (package debugfile), in .dwo and .dwp files, in a file of dwz's. What is
// missing is told by MissingDebug and MissingSplit.
//
// Specifications: System V ABI (ELF-64 object file format 1.5), DWARF versions
// 2 to 5, Linux Standard Base (.eh_frame).
package symbolizer
