package faultmatrix

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

const patience = 60 * time.Second

// atOnce is how many guests run at a time.
const atOnce = 2

var update = flag.Bool("update", false, "write the golden files")

func TestFaults(t *testing.T) {
	slots := make(chan struct{}, atOnce)
	for _, arch := range []string{"x86_64", "arm64"} {
		for _, generation := range []string{"a", "c"} {
			for _, c := range cells() {
				if c.arch != "" && c.arch != arch {
					continue
				}
				t.Run(arch+"/"+generation+"/"+c.name(), func(t *testing.T) {
					t.Parallel()
					slots <- struct{}{}
					defer func() { <-slots }()
					testCell(t, c, arch, generation)
				})
			}
		}
	}
}

func testCell(t *testing.T, c cell, arch, generation string) {
	image := strings.TrimSuffix("ukguest-"+arch+"-"+c.variant, "-")
	vm := guesttest.Start(t, guesttest.Options{Image: image, GDB: "unix", Append: c.append(generation)})
	console := vm.WaitConsole(t, "Unikraft halted", patience)
	live, machine := onGuest(t, vm)
	withImage := inLog(t, vm, console, vm.Debug)
	bare := inLog(t, vm, console, "")

	check(t, "live", live, c.live, arch)
	check(t, "machine", machine, c.machine, arch)
	check(t, "log with image", withImage, c.log, arch)
	switch {
	case generation == "c" && arch == "x86_64" && c.silent:
		c.bare = told{kind: asserts.UnknownTrap}
	case c.bare.kind == "":
		c.bare = told{kind: c.log.kind, sub: c.log.sub}
	}
	check(t, "log alone", bare, c.bare, arch)

	checkStack(t, "live", live, c.frames, c.file)
	checkStack(t, "machine", machine, c.frames, c.file)
	if generation == "c" && c.variant != "ubsan" && c.fault != "overflow" {
		// The later screen has all of it: who reads the log must come to the
		// same stack as who looks at the guest. (UBSan's report has no stack,
		// and that of a recursion is cut.)
		checkStack(t, "log with image", withImage, c.frames, c.file)
		if !slices.Equal(live.Functions, withImage.Functions) {
			t.Errorf("live the stack is %v, in the log %v", live.Functions, withImage.Functions)
		}
	}
	if strings.Contains(live.Text, "of the log") || strings.Contains(live.Text, "not printed") ||
		!strings.Contains(live.Text, "told by the guest's console ring") {
		t.Errorf("live: says it was read in a log:\n%s", live.Text)
	}
	if !strings.Contains(machine.Text, "told by the machine") {
		t.Errorf("machine: does not say that it was told by the machine:\n%s", machine.Text)
	}
	golden(t, c, arch, generation, live.Text)
}

// onGuest explains the crash with and without the guest's words.
func onGuest(t *testing.T, vm *guesttest.VM) (live, machine ukdbg.FaultReport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: vm.GDBAddr(), Image: vm.Debug, SourceMap: sources(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := s.Leave(ctx); err != nil {
			t.Error(err)
		}
	}()
	if live, err = s.Fault(ctx); err != nil {
		t.Fatalf("live: %v", err)
	}
	if machine, err = s.MachineFault(ctx); err != nil {
		t.Fatalf("machine: %v", err)
	}
	return live, machine
}

// inLog reads the console; image is "" for none.
func inLog(t *testing.T, vm *guesttest.VM, console, image string) ukdbg.FaultReport {
	t.Helper()
	s, err := ukdbg.OpenImage(context.Background(), ukdbg.Options{Image: image, SourceMap: sources(t)})
	if err != nil {
		t.Fatal(err)
	}
	var found []ukdbg.FaultReport
	err = s.ReadLog(context.Background(), strings.NewReader(console), func(r ukdbg.FaultReport) error {
		found = append(found, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Fatalf("%d faults in the log of %s, want 1:\n%s", len(found), vm.Image.Name, console)
	}
	return found[0]
}

func sources(t *testing.T) []ukdbg.SourceMap {
	return []ukdbg.SourceMap{{From: images.SourcePrefix, To: guesttest.SourceRoot(t)}}
}

func check(t *testing.T, source string, r ukdbg.FaultReport, want told, arch string) {
	t.Helper()
	f := r.Fault
	if f.Kind != want.kind || f.Subkind != want.sub {
		t.Errorf("%s: %s (%s), want %s (%s)\n%s", source, f.Kind, f.Subkind, want.kind, want.sub, r.Text)
	}
	for _, w := range want.reason {
		if !strings.Contains(f.Reason, w) {
			t.Errorf("%s: the reason is %q, without %q", source, f.Reason, w)
		}
	}
	if f.Thread != "worker-2" {
		t.Errorf("%s: the thread is %q", source, f.Thread)
	}
	if f.Arch != nil && f.Arch.Name != arch {
		t.Errorf("%s: the architecture is %s", source, f.Arch.Name)
	}
	// The first line is the cause.
	if first, _, _ := strings.Cut(r.Text, "\n"); !strings.HasPrefix(first, string(f.Kind)) || len(want.reason) > 0 && !strings.Contains(first, asserts.Escape(want.reason[0])) {
		t.Errorf("%s: the first line is %q", source, first)
	}
}

// checkStack wants the functions in this order, the first of them innermost
// (behind it, if the fault is a jump into nowhere), with source lines.
func checkStack(t *testing.T, source string, r ukdbg.FaultReport, frames []string, file string) {
	t.Helper()
	left := append(slices.Clone(frames), outer...)
	if len(r.Functions) == 0 || r.Functions[0] != left[0] {
		t.Errorf("%s: the innermost function is not %s: %v", source, left[0], r.Functions)
	}
	for _, name := range r.Functions {
		if len(left) > 0 && name == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("%s: no %v in that order in %v", source, left, r.Functions)
	}
	for _, want := range []string{frames[0] + " (" + file + ":", "worker_main (server.c:"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("%s: no %q in\n%s", source, want, r.Text)
		}
	}
}

// goldens are the reports kept whole: architecture, generation and fault.
var goldens = []string{"x86_64/a/overflow", "arm64/c/cfi/cfi", "x86_64/a/pkey"}

var changing = []*regexp.Regexp{
	regexp.MustCompile(`0x[0-9a-f]+`), regexp.MustCompile(`\b[0-9a-f]{16}\b`), regexp.MustCompile(`fingerprint [0-9a-f]{8}`),
}

// golden compares the whole text with a file, numbers that move with a build
// left out.
func golden(t *testing.T, c cell, arch, generation, text string) {
	t.Helper()
	name := arch + "/" + generation + "/" + c.name()
	if !slices.Contains(goldens, name) {
		return
	}
	for i, re := range changing {
		text = re.ReplaceAllString(text, []string{"0x…", "…", "fingerprint …"}[i])
	}
	path := filepath.Join("testdata", strings.ReplaceAll(name, "/", "-")+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("differs from %s; -update writes it anew:\n%s", path, text)
	}
}
