package gdbdiff

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

//go:embed testdata/driver.py
var driver string

// gdb is a gdb-multiarch that answers requests; see testdata/driver.py.
type gdb struct {
	requests io.Writer
	answers  *bufio.Reader
	stdout   *strings.Builder
	core     string // loaded
}

// gdbFrame is a frame as gdb sees it.
type gdbFrame struct {
	PC, SP   uint64
	Name     string
	Inline   bool
	TailCall bool // of a function that left by a jump: on no stack, found by call sites
	File     string
	Line     int
	Stop     string // why there is no older frame, "" for none in particular
	Core     string // where gdb shows it
	Status   []byte // the registers that core begins with
	Level    int    // its number there
}

// settings make gdb's output that of ukdbg: no cut at a width, all frames.
var settings = []string{
	"set language c", "set width 0", "set height 0", "set confirm off", "set max-value-size unlimited",
	"set backtrace past-main on", "set backtrace past-entry on", "set backtrace limit unlimited",
}

var gdbArch = map[string]string{"x86_64": "i386:x86-64", "arm64": "aarch64"}

// startGDB starts a gdb with the symbols of an image that is loaded slide bytes
// above its link address.
func startGDB(t *testing.T, arch, debug string, slide uint64) *gdb {
	t.Helper()
	dir := t.TempDir() // also the working directory: no source files lie there
	script := filepath.Join(dir, "driver.py")
	if err := os.WriteFile(script, []byte(driver), 0o600); err != nil {
		t.Fatal(err)
	}
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g := &gdb{requests: inWrite, answers: bufio.NewReader(outRead), stdout: &strings.Builder{}}
	cmd := exec.Command("gdb-multiarch", "-nx", "-q", "-batch", "-ex", "set architecture "+gdbArch[arch], "-x", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME=/nonexistent")
	cmd.ExtraFiles = []*os.File{inRead, outWrite}
	cmd.Stdout, cmd.Stderr = g.stdout, g.stdout
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (make tools installs gdb-multiarch)", err)
	}
	inRead.Close()
	outWrite.Close()
	t.Cleanup(func() {
		inWrite.Close() // gdb ends at the end of its requests
		outRead.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("gdb-multiarch: %v\n%s", err, g.stdout)
		}
	})
	g.run(t, settings...)
	if slide != 0 {
		g.run(t, fmt.Sprintf("symbol-file -o %#x %s", slide, debug))
	} else {
		g.run(t, "symbol-file "+debug)
	}
	return g
}

func (g *gdb) ask(t *testing.T, request, answer any) {
	t.Helper()
	if err := json.NewEncoder(g.requests).Encode(request); err != nil {
		t.Fatalf("gdb-multiarch: %v\n%s", err, g.stdout)
	}
	line, err := g.answers.ReadBytes('\n')
	if err != nil {
		t.Fatalf("gdb-multiarch does not answer: %v\n%s", err, g.stdout)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		t.Fatalf("gdb-multiarch answered %q: %v", line, err)
	}
}

// run runs commands and returns what each printed.
func (g *gdb) run(t *testing.T, commands ...string) []string {
	t.Helper()
	var answer struct{ Texts []string }
	g.ask(t, map[string]any{"run": commands}, &answer)
	if len(answer.Texts) != len(commands) {
		t.Fatalf("gdb-multiarch gave %d answers to %d commands", len(answer.Texts), len(commands))
	}
	return answer.Texts
}

// load makes a core file what gdb looks at.
func (g *gdb) load(t *testing.T, core string) {
	t.Helper()
	if g.core == core {
		return
	}
	if out := g.run(t, "core-file "+core)[0]; !strings.Contains(out, "#0 ") {
		t.Fatalf("gdb-multiarch does not take the core: %s", out)
	}
	g.core = core
}

// frames returns the stack of the loaded core.
func (g *gdb) frames(t *testing.T) []gdbFrame {
	t.Helper()
	var answer struct {
		Frames []gdbFrame
		Error  string
	}
	g.ask(t, map[string]any{"frames": true}, &answer)
	if answer.Error != "" || len(answer.Frames) == 0 {
		t.Fatalf("gdb-multiarch: no frames: %s", answer.Error)
	}
	for i := range answer.Frames {
		answer.Frames[i].Level = i
	}
	return answer.Frames
}

// numbers evaluates expressions to numbers.
func (g *gdb) numbers(t *testing.T, expressions []string) []uint64 {
	t.Helper()
	commands := make([]string, len(expressions))
	for i, e := range expressions {
		commands[i] = "output/x (unsigned long)(" + e + ")"
	}
	out := make([]uint64, len(expressions))
	for i, text := range g.run(t, commands...) {
		if _, err := fmt.Sscanf(text, "0x%x", &out[i]); err != nil {
			t.Fatalf("gdb: %s: %q", expressions[i], text)
		}
	}
	return out
}

var historyNumber = regexp.MustCompile(`^\$\d+ = `)

// value is an answer without its number in the history, which counts apart in
// the two debuggers.
func value(text string) string {
	return historyNumber.ReplaceAllString(strings.TrimSuffix(text, "\n"), "")
}
