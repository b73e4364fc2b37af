package asserts

import (
	"os"
	"strings"
	"testing"
)

// TestFormatTable: docs/faults.md has a row for each format and none for others.
func TestFormatTable(t *testing.T) {
	page, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "<!-- formats by source -->\n")
	table, _, closed := strings.Cut(rest, "<!-- end of formats -->")
	if !ok || !closed {
		t.Fatal("docs/faults.md has no table of formats")
	}
	rows := map[string]bool{}
	for _, line := range strings.Split(table, "\n")[2:] {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			rows[name] = true
		}
	}
	for i := range formats {
		if !rows[formats[i].name] {
			t.Errorf("no row for %s", formats[i].name)
		}
		delete(rows, formats[i].name)
	}
	for name := range rows {
		t.Errorf("a row for %s, which is no format", name)
	}
}
