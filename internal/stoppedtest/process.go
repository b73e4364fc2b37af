package stoppedtest

import (
	"bufio"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Process is a program that stopped itself.
type Process struct {
	PID int
	// Dir holds its files: app, and libwork.so if it is not static.
	Dir   string
	mem   *os.File
	areas []area
}

//go:embed testdata
var sources embed.FS

// area is a line of /proc/PID/maps.
type area struct {
	start, end uint64
	name       string
	offset     uint64
}

// ReadMemory reads the program's memory.
func (p *Process) ReadMemory(_ context.Context, b []byte, addr uint64) (int, error) {
	if int64(addr) < 0 {
		return 0, &target.FaultError{Addr: addr}
	}
	n, err := p.mem.ReadAt(b, int64(addr))
	if err != nil {
		err = &target.FaultError{Addr: addr + uint64(n), Why: err.Error()}
	}
	return n, err
}

// Compile runs gcc in dir; sources are this package's.
func Compile(t *testing.T, dir, flags string, args ...string) {
	t.Helper()
	for _, a := range args {
		if !strings.HasSuffix(a, ".c") {
			continue
		}
		text, err := sources.ReadFile("testdata/" + a)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, a), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("gcc", append(strings.Fields(flags), args...)...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("gcc (make tools installs it): %v\n%s", err, out)
	}
}

// Start builds the program and lets it run until it stops itself.
func Start(t *testing.T, flags string, static bool) *Process {
	t.Helper()
	dir := t.TempDir()
	if static {
		Compile(t, dir, flags, "-o", "app", "main.c", "work.c")
	} else {
		Compile(t, dir, "-g -O2 -fPIC -shared -fomit-frame-pointer", "-o", "libwork.so", "work.c")
		Compile(t, dir, flags, "-o", "app", "main.c", "-L.", "-lwork", "-Wl,-rpath,"+dir)
	}
	c := exec.Command(filepath.Join(dir, "app"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // gone is as good
		_ = c.Wait()
	})
	p := &Process{PID: c.Process.Pid, Dir: dir}
	p.waitStopped(t)
	var err error
	if p.mem, err = os.Open(fmt.Sprintf("/proc/%d/mem", p.PID)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.mem.Close() })
	p.readMaps(t)
	return p
}

func (p *Process) waitStopped(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var st syscall.WaitStatus
		pid, err := syscall.Wait4(p.PID, &st, syscall.WUNTRACED|syscall.WNOHANG, nil)
		if err != nil || pid == p.PID && !st.Stopped() {
			t.Fatalf("the program ended: %v, %#x", err, st)
		}
		if pid == p.PID {
			return
		}
	}
	t.Fatal("the program did not stop itself")
}

func (p *Process) readMaps(t *testing.T) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var a area
		fields := strings.Fields(sc.Text())
		fmt.Sscanf(fields[0], "%x-%x", &a.start, &a.end)
		fmt.Sscanf(fields[2], "%x", &a.offset)
		if len(fields) > 5 {
			a.name = fields[5]
		}
		p.areas = append(p.areas, a)
	}
}

// First is where the first page of a file is mapped.
func (p *Process) First(t *testing.T, name string) uint64 {
	t.Helper()
	for _, a := range p.areas {
		if filepath.Base(a.name) == name && a.offset == 0 {
			return a.start
		}
	}
	t.Fatalf("%s is not mapped: %v", name, p.areas)
	return 0
}

// Stack is an address in its stack, far below the end.
func (p *Process) Stack(t *testing.T) uint64 {
	t.Helper()
	for _, a := range p.areas {
		if a.name == "[stack]" {
			return a.start
		}
	}
	t.Fatal("no stack")
	return 0
}

// Starts are where areas begin.
func (p *Process) Starts() []uint64 {
	var out []uint64
	for _, a := range p.areas {
		out = append(out, a.start)
	}
	return out
}
