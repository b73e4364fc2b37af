package symdiff

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"io"
	"path"
	"slices"
	"sort"
)

// LineTable is the line table of an image as Go's library reads it, sorted by
// address; rows of one address keep their order.
type LineTable []lineRow

type lineRow struct {
	addr      uint64
	file      string
	line      int
	stmt, end bool
	block     bool // one more block of the line of the row before it, by discriminators
}

// ReadLines reads the line tables of all units of an image.
func ReadLines(image string) (LineTable, error) {
	f, err := elf.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		return nil, err
	}
	var tab LineTable
	for r := data.Reader(); ; {
		unit, err := r.Next()
		if err != nil {
			return nil, err
		}
		if unit == nil {
			break
		}
		r.SkipChildren()
		if tab, err = tab.appendUnit(data, unit); err != nil {
			return nil, err
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
	return tab, nil
}

func (tab LineTable) appendUnit(data *dwarf.Data, unit *dwarf.Entry) (LineTable, error) {
	lines, err := data.LineReader(unit)
	if err != nil || lines == nil {
		return tab, err
	}
	before, blocks := dwarf.LineEntry{EndSequence: true}, false
	dir, _ := unit.Val(dwarf.AttrCompDir).(string)
	for {
		var e dwarf.LineEntry
		if err := lines.Next(&e); errors.Is(err, io.EOF) {
			return tab, nil
		} else if err != nil {
			return tab, err
		}
		row := lineRow{addr: e.Address, line: e.Line, stmt: e.IsStmt, end: e.EndSequence}
		if e.Line != before.Line || e.File != before.File || before.EndSequence {
			blocks = false
		}
		row.block = !e.EndSequence && (blocks || e.Discriminator != 0 && e.Line == before.Line && e.File == before.File && !before.EndSequence)
		blocks = blocks || e.Discriminator != 0
		before = e
		if e.File != nil {
			if row.file = e.File.Name; !path.IsAbs(row.file) {
				row.file = path.Join(dir, row.file)
			}
		}
		tab = append(tab, row)
	}
}

// AsGDB makes of the row llvm-symbolizer takes, the last of an address, the one
// gdb takes: of rows of one address the last one that is_stmt (find_pc_sect_line
// in gdb/symtab.c), and none that begins one more block of its line
// (dwarf_record_line_p in gdb/dwarf2/read.c).
func (tab LineTable) AsGDB(addr uint64, file *string, line *int) {
	i := sort.Search(len(tab), func(i int) bool { return tab[i].addr > addr }) - 1
	if i < 0 || tab[i].end || tab[i].line != *line || path.Clean(tab[i].file) != *file {
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
	*line, *file = row.line, path.Clean(row.file)
}
