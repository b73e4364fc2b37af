// Package dwp reads the index of a DWARF package file, .dwp, which holds the
// split debug information of many units: for a unit's number it tells which part
// of each section is that unit's.
//
//	ix, err := dwp.Parse(cuIndex, false)
//	part, ok := ix.Find(id)
//	info, err := part.Of(dwp.Info, section)
//
// Specification: DWARF 5, section 7.3.5.3; for version 2 of the index, "DWARF
// Extensions for Separate Debug Information Files" of the GCC wiki.
package dwp
