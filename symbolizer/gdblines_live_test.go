package symbolizer_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// gdbLine asks gdb for the line of each address, and the code it belongs to.
const gdbLine = `
import gdb
for a in open("addrs"):
    s = gdb.find_pc_line(int(a, 16))
    ok = s.symtab is not None and s.line > 0
    print("@line", s.symtab.fullname() if ok else "-", s.line if ok else 0, s.pc if ok else 0, s.last + 1 if ok and s.last else 0)
`

// TestLineMatchesGDB compares Line with gdb's for every address of code that has
// lines: file, line, and the addresses "info line" tells.
func TestLineMatchesGDB(t *testing.T) {
	for _, b := range cBuilds() {
		if strings.HasPrefix(b.compiler, "clang") {
			continue // line 0, of which gdb 13 makes a part of the line before
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			linesAsGDB(t, b.make(t, "main.c", "other.c"), 1)
		})
	}
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64", "ukguest-arm64-nofp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			linesAsGDB(t, guestImage(t, name), 2)
		})
	}
}

func linesAsGDB(t *testing.T, image string, step uint64) {
	im, err := symbolizer.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	var addrs []uint64
	dir := t.TempDir()
	var list bytes.Buffer
	for _, a := range codeAddrs(im, step) {
		if _, ok := im.Line(a); ok {
			addrs = append(addrs, a)
			fmt.Fprintf(&list, "%x\n", a)
		}
	}
	for name, data := range map[string][]byte{"addrs": list.Bytes(), "ask.py": []byte(gdbLine)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("gdb-multiarch", "-nx", "-batch", "-x", "ask.py", image)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v (make tools installs gdb-multiarch)\n%s", err, out)
	}
	n, wrong := 0, 0
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		var file string
		var line int
		var start, end uint64
		if _, err := fmt.Sscanf(sc.Text(), "@line %s %d %d %d", &file, &line, &start, &end); err != nil {
			continue
		}
		r, _ := im.Line(addrs[n])
		if next, ok := im.Line(r.End); ok && next.File != r.File {
			end = r.End // gdb has a table for each file, and looks for the end there
		}
		got := fmt.Sprintf("%s:%d %#x-%#x", filepath.Clean(r.File), r.Line, r.Start, r.End)
		if want := fmt.Sprintf("%s:%d %#x-%#x", filepath.Clean(file), line, start, end); got != want {
			if wrong++; wrong <= 5 {
				t.Errorf("%#x: %s, gdb says %s", addrs[n], got, want)
			}
		}
		n++
	}
	if n != len(addrs) || n < 100 || wrong > 0 {
		t.Errorf("%d of %d addresses compared, %d differ", n, len(addrs), wrong)
	}
}
