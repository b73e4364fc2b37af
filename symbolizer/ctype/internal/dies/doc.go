// Package dies reads debugging information entries: abbreviations, forms and
// the sections they point into.
//
// It exists beside debug/dwarf for two reasons. Looking up one type must cost
// milliseconds on an image of any size: nothing is decoded here before it is
// asked for, and a scan of a unit's top level skips what it does not want
// without building entries. And debug/dwarf leaves location lists, address and
// string indices of DWARF 5 half resolved.
//
// Offsets count bytes from the start of .debug_info. Every length and offset
// read from the image is checked; malformed input is an error, never a panic.
//
// Typical use:
//
//	d, err := dies.New(image)
//	for _, u := range d.Units() {
//		root, err := d.Root(u)
//		for c := d.Children(root); c.Next(); {
//			name := d.Name(c.Entry())
//		}
//	}
//
// Specification: DWARF Debugging Information Format, versions 2 to 5, section
// 7.5 (units, abbreviations, forms), 7.25 and 7.29 (range and location lists).
package dies
