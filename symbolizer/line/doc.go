// Package line decodes DWARF line number programs, versions 2 to 5: which
// source line an address belongs to.
//
// ParseHeader reads the file table of one program, which is enough to find a
// source file; Header.Rows runs the program and gives its rows as a Table that
// is searched by address.
//
//	h, err := line.ParseHeader(line.Sections{Line: b, LineStr: ls, Str: s}, stmtList, compDir, unitName)
//	t, err := h.Rows()
//	if i, ok := t.Find(pc); ok {
//		row := t.Rows[i]
//		fmt.Println(h.Path(row.File), row.Line)
//	}
//
// The input is untrusted: a damaged program gives an error, and Rows gives with
// it the sequences that ended before the damage.
//
// Specification: DWARF 5, section 6.2; DWARF 2, 3 and 4, section 6.2.
package line
