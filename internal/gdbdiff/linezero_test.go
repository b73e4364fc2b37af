package gdbdiff

import (
	"debug/dwarf"
	"debug/elf"
	"testing"

	"github.com/ukdbg/ukdbg"
)

// lineZero is the rule for code that no line of the source is the cause of: a row
// of line 0 (DWARF 5, 6.2.2; clang makes them). gdb 13 drops such a row, so that the
// line before it goes on, and ukdbg says that there is none. Go's own reader has
// the last word.
func lineZero(t *testing.T, debug string, ours ukdbg.Frame, theirs gdbFrame) bool {
	t.Helper()
	same := ours
	same.Loc.Line = theirs.Line
	if ours.Loc.Line != 0 || ourText(same) != theirs.String() {
		return false
	}
	f, err := elf.Open(debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	for _, pc := range []uint64{ours.PC, ours.PC - 1} {
		unit, err := data.Reader().SeekPC(pc)
		if err != nil {
			continue
		}
		lines, err := data.LineReader(unit)
		if err != nil || lines == nil {
			continue
		}
		var row dwarf.LineEntry
		if lines.SeekPC(pc, &row) == nil && row.Line == 0 {
			return true
		}
	}
	return false
}
