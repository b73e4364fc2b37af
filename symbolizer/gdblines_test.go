package symbolizer_test

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"io"
	"path"
	"slices"
	"sort"
	"testing"
)

// lineTable is the line table of an image as Go's library reads it, sorted by
// address; rows of one address keep their order.
type lineTable []lineRow

type lineRow struct {
	addr      uint64
	file      string
	line      int
	stmt, end bool
	block     bool // one more block of the line of the row before it, by discriminators
}

func openDWARF(t testing.TB, path string) *dwarf.Data {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readLines(t testing.TB, image string) lineTable {
	t.Helper()
	data := openDWARF(t, image)
	var tab lineTable
	r := data.Reader()
	for {
		unit, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if unit == nil {
			break
		}
		r.SkipChildren()
		lines, err := data.LineReader(unit)
		if err != nil {
			t.Fatal(err)
		}
		if lines == nil {
			continue
		}
		before, blocks := dwarf.LineEntry{EndSequence: true}, false
		dir, _ := unit.Val(dwarf.AttrCompDir).(string)
		for {
			var e dwarf.LineEntry
			if err := lines.Next(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			row := lineRow{addr: e.Address, line: e.Line, stmt: e.IsStmt, end: e.EndSequence}
			if e.Line != before.Line || e.File != before.File || before.EndSequence {
				blocks = false
			}
			row.block = blocks || e.Discriminator != 0 && e.Line == before.Line && e.File == before.File && !before.EndSequence
			blocks = blocks || e.Discriminator != 0
			row.block = row.block && !e.EndSequence
			before = e
			if row.file = e.File.Name; !path.IsAbs(row.file) {
				row.file = path.Join(dir, row.file)
			}
			tab = append(tab, row)
		}
	}
	slices.SortStableFunc(tab, func(a, b lineRow) int {
		if c := cmp.Compare(a.addr, b.addr); c != 0 || a.end == b.end {
			return c
		}
		if a.end { // what ends here is before what begins here
			return -1
		}
		return 1
	})
	return tab
}

// asGDB makes of the row llvm-symbolizer takes, the last of an address, the one
// gdb takes: of rows of one address the last one that is_stmt (find_pc_sect_line
// in gdb/symtab.c), and none that begins one more block of its line
// (dwarf_record_line_p in gdb/dwarf2/read.c).
func (tab lineTable) asGDB(addr uint64, l *symbolizerLine) {
	i := sort.Search(len(tab), func(i int) bool { return tab[i].addr > addr }) - 1
	if i < 0 || tab[i].end || tab[i].line != l.line || path.Clean(tab[i].file) != l.file {
		return
	}
	for tab[i].block {
		i--
	}
	row := tab[i]
	for k := i; k >= 0 && tab[k].addr == tab[i].addr && !tab[k].end && tab[k].line != 0; k-- {
		if tab[k].stmt && !tab[k].block {
			row = tab[k]
			break
		}
	}
	l.line, l.file = row.line, path.Clean(row.file)
}
