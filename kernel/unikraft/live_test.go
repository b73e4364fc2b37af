package unikraft_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

// live is a stopped guest, seen through QEMU's stub.
type live struct {
	vm     *guesttest.VM
	image  *symbolizer.Image
	client *gdbstub.Client
	k      *unikraft.Kernel
}

// boot starts an image, lets it work until text is on the console, and stops it.
func boot(t *testing.T, opt guesttest.Options, text string) *live {
	t.Helper()
	opt.GDB = "tcp"
	vm := guesttest.Start(t, opt)
	if text != "" {
		vm.WaitConsole(t, text, 60*time.Second)
		// A paused VM stays paused when a client leaves: gdb then sees what we saw.
		vm.QMP(t, "stop", nil)
	}
	l := &live{vm: vm}
	var err error
	if l.image, err = symbolizer.Open(vm.Debug); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.image.Close() })
	spec, err := target.ParseSpec(vm.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if l.client, err = gdbstub.Dial(ctx, spec, gdbstub.Options{Arch: l.image.Arch()}); err != nil {
		t.Fatal(err)
	}
	l.open(t, 0)
	return l
}

// open makes the kernel of an image that runs slid.
func (l *live) open(t *testing.T, slide uint64) {
	t.Helper()
	types, err := ctype.New(l.image)
	if err != nil {
		t.Fatal(err)
	}
	l.k, err = unikraft.New(unikraft.Config{
		Image:  unikraft.FromSymbolizer(l.image, types),
		Memory: l.client, CPUs: l.client, System: l.client, Slide: slide,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// gdb leaves the stub to gdb-multiarch and returns the lines it prints.
func (l *live) gdb(t *testing.T, script string) []string {
	t.Helper()
	if _, err := l.client.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(l.vm.GDBAddr(), "tcp:")
	args := []string{"-nx", "-batch", "-ex", "set pagination off", "-ex", "target remote " + addr}
	file := filepath.Join(t.TempDir(), "script.gdb")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gdb-multiarch", append(args, "-x", file, l.vm.Debug)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gdb-multiarch (install it with make tools): %v\n%s", err, stderr.String())
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "|") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("gdb printed nothing:\n%s\n%s", out, stderr.String())
	}
	return lines
}

// runTo lets the guest run to a function.
func (l *live) runTo(t *testing.T, function string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s, ok := l.image.SymbolByName(function)
	if !ok {
		t.Fatalf("no function %s", function)
	}
	b := target.Breakpoint{Kind: target.BreakHardware, Addr: s.Addr}
	if err := l.client.Insert(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := l.client.Resume(ctx, target.Action{CPU: target.AllCPUs}); err != nil {
		t.Fatal(err)
	}
	l.waitStop(t)
	if err := l.client.Remove(ctx, b); err != nil {
		t.Fatal(err)
	}
}

// waitStop waits until the guest has stopped.
func (l *live) waitStop(t *testing.T) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case e := <-l.client.Events():
			if e.Kind == target.EventStopped {
				return
			}
			if e.Err != nil {
				t.Fatal(e.Err)
			}
		case <-timeout:
			t.Fatalf("the guest did not stop:\n%s", l.vm.Console())
		}
	}
}

func (l *live) step(t *testing.T) {
	t.Helper()
	if err := l.client.Resume(context.Background(), target.Action{CPU: 0, Step: true}); err != nil {
		t.Fatal(err)
	}
	l.waitStop(t)
}
