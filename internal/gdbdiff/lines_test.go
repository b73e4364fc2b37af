package gdbdiff

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
}

func openDWARF(t *testing.T, path string) *dwarf.Data {
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

func readLines(t *testing.T, image string) lineTable {
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
		dir, _ := unit.Val(dwarf.AttrCompDir).(string)
		for {
			var e dwarf.LineEntry
			if err := lines.Next(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			row := lineRow{addr: e.Address, line: e.Line, stmt: e.IsStmt, end: e.EndSequence}
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

// find returns the row of a link-time address as gdb's find_pc_sect_line picks
// it (gdb/symtab.c: of rows of one address back to one that is_stmt), and the
// last row of the address.
func (tab lineTable) find(addr uint64) (byGDB, last lineRow, ok bool) {
	i := sort.Search(len(tab), func(i int) bool { return tab[i].addr > addr }) - 1
	if i < 0 || tab[i].end {
		return lineRow{}, lineRow{}, false
	}
	k := i
	for k > 0 && !tab[k].stmt && tab[k-1].addr == tab[k].addr && !tab[k-1].end && tab[k-1].line != 0 {
		k--
	}
	if !tab[k].stmt {
		k = i
	}
	return tab[k], tab[i], true
}
