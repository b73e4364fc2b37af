// Package arch holds what is constant about a processor architecture: register
// names and numbers for GDB and for DWARF, the breakpoint instruction, the
// return address convention. It is data only; no kernel is known here.
//
// To add an architecture, write one file with one Arch value and list it in
// All.
//
// Specifications: System V ABI AMD64 supplement, figure 3.36 (DWARF register
// numbers); DWARF for the Arm 64-bit Architecture (AADWARF64), section 4.1;
// GDB manual, appendix "Standard Target Features".
package arch
