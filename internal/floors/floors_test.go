// Package floors holds the test that the module's imports follow the floors
// drawn in ARCHITECTURE.md.
package floors

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ukdbg/ukdbg"

// floor is one line of the table: packages on the same line may not import
// each other unless the table names the edge.
type table struct {
	floor map[string]int
	edges map[string]bool // "from to" on the same floor
}

// readTable takes the floors from the fenced block after "<!-- floors -->".
func readTable(t *testing.T) table {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "<!-- floors -->\n```\n")
	block, _, ok2 := strings.Cut(after, "```")
	if !ok || !ok2 {
		t.Fatal("ARCHITECTURE.md has no floors block")
	}
	tab := table{floor: map[string]int{}, edges: map[string]bool{}}
	s := bufio.NewScanner(strings.NewReader(block))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) == 0 {
			continue
		}
		if f[0] == "edge" {
			if len(f) != 3 {
				t.Fatalf("floors: edge wants two packages: %q", s.Text())
			}
			tab.edges[f[1]+" "+f[2]] = true
			continue
		}
		n, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatalf("floors: line %q does not start with a number", s.Text())
		}
		for _, p := range f[1:] {
			tab.floor[p] = n
		}
	}
	return tab
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func short(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func TestImportsGoDown(t *testing.T) {
	tab := readTable(t)
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from := short(p.ImportPath)
		seen[from] = true
		own, ok := tab.floor[from]
		if !ok {
			t.Errorf("package %s is on no floor of ARCHITECTURE.md", from)
			continue
		}
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			to := short(imp)
			if tab.edges[from+" "+to] {
				continue
			}
			if below, ok := tab.floor[to]; ok && below >= own {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", from, own, to, below)
			}
		}
	}
	for p := range tab.floor {
		if !seen[p] {
			t.Errorf("ARCHITECTURE.md places %s, which does not exist", p)
		}
	}
}
