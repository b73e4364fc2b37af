// Package stepdiff holds the differential test of stepping by source line: gdb
// and ukdbg step through the same functions of one running guest, and where each
// went from an address is compared.
package stepdiff
