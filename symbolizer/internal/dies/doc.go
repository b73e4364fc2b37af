// Package dies reads DWARF debugging information entries straight from the
// section bytes, without building trees.
//
//	d := dies.New(sections)
//	units, err := d.Units()             // headers only
//	t := units[0].Functions()           // functions and inlined calls, by address
//	root, err := d.Root(units[0])
//	for c := d.Children(root); c.Next(); {
//		name := d.Name(c.Entry())
//	}
//
// It exists beside debug/dwarf because a look-up must cost what it looks at and
// no more: New looks at nothing, Units at headers, a unit's abbreviations and root
// entry are read when something of that unit is asked for, and a walk passes over
// what it does not want without decoding it. And debug/dwarf leaves location
// lists, address and string indices of DWARF 5 half resolved.
//
// Offsets name entries of the whole program: bits 48 and up tell the section an
// entry is in (0 is .debug_info of the image), the rest is the offset there. So
// one number names an entry wherever it is, and a reference never needs to say more.
//
// All input is untrusted: every length and offset is checked, work is bounded by
// the size of the input, and malformed input is an error, never a panic.
//
// Specification: DWARF 5, sections 2.17, 3.3, 3.4, 6.1.2, 7.5, 7.25 and 7.29;
// DWARF 2 to 4; of the GNU extensions those for split DWARF and call sites.
package dies
