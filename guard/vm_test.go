package guard

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// vm is a guest with its text.
type vm struct {
	*guesttest.VM
	text []byte
	at   uint64
	sym  map[string]uint64
}

func boot(t *testing.T, opt guesttest.Options) *vm {
	t.Helper()
	g := &vm{VM: guesttest.Start(t, opt), sym: map[string]uint64{}}
	f, err := elf.Open(g.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".text")
	if g.text, err = s.Data(); err != nil {
		t.Fatal(err)
	}
	g.at = s.Addr
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		g.sym[s.Name] = s.Value
	}
	if !opt.Paused {
		g.WaitConsole(t, "requests served", soon)
	}
	return g
}

// memory reads guest memory past every stub.
func (g *vm) memory(t *testing.T, at uint64, n int) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m")
	g.QMP(t, "pmemsave", map[string]any{"val": at, "size": n, "filename": file})
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mustBeAsFound waits until the state folder is empty and the VM as found.
func (g *vm) mustBeAsFound(t *testing.T, state string, running bool, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		list, err := os.ReadDir(guardDir(state))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 && g.Running(t) == running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %d folders, running %v, want %v\n%s", within, len(list), g.Running(t), running, logs(state))
		}
	}
	if string(g.memory(t, g.at, len(g.text))) != string(g.text) {
		t.Fatal("the guest's text is patched")
	}
	if !running {
		g.QMP(t, "cont", nil)
	}
	time.Sleep(50 * time.Millisecond)
	if !g.Running(t) {
		t.Fatal("the guest stops by itself: something is left in it")
	}
}

func logs(state string) string {
	var b strings.Builder
	list, _ := filepath.Glob(filepath.Join(guardDir(state), "*", "log"))
	for _, f := range append(list, filepath.Join(state, auditName)) {
		text, err := os.ReadFile(f)
		fmt.Fprintf(&b, "%s %v\n", text, err)
	}
	return b.String()
}

// stubs counts the stubs QEMU has.
func (g *vm) stubs(t *testing.T) int {
	t.Helper()
	return strings.Count(string(g.QMP(t, "query-chardev", nil)), `"label": "gdb`)
}
