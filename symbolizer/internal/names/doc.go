// Package names reads .debug_names, the index of names that clang writes if told
// to (-gpubnames): in which units there is an entry of a name.
//
//	ix, err := names.Parse(section(".debug_names"), section(".debug_str"))
//	units, ok := ix.Units("main")
//
// An index is a hint and no more: a linker, a tool or a person may have left it
// behind or changed it. Who uses it looks into the units it names, and reads all of
// them where they hold no such entry. So entries of the index are followed to their
// units alone, never to an offset inside one.
//
// Format: DWARF 5, sections 6.1.1 and 7.19; several indexes may follow each other in
// one section, as a linker joins them. Numbers are in the order of the file's bytes,
// which the version in the header tells.
package names
