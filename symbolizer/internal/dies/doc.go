// Package dies reads DWARF debug information entries straight from the section
// bytes, unit by unit and without building trees: unit headers, abbreviations,
// attribute values, address ranges, the functions and inlined calls of one unit
// as a table searched by address, and the call sites of one function.
//
// It exists because a lookup must not pay for a walk of all units, as
// debug/dwarf's seek does. Everything is bounded by the size of the input,
// which is untrusted.
//
// Specification: DWARF 5, sections 2.17, 3.3, 3.4, 6.1.2 and 7.5; DWARF 2 to 4; the
// GNU extensions for split DWARF and alternate files are skipped by size.
package dies
