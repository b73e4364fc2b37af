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

var archs = []string{"x86_64", "arm64"}

func TestFaults(t *testing.T) {
	rows := table(t)
	slots := make(chan struct{}, atOnce)
	for _, arch := range archs {
		for _, generation := range []string{"a", "c"} {
			for _, c := range cells() {
				r, ok := rows[rowKey{c.variant, c.key(), arch}]
				if !ok {
					continue // TestTable tells
				}
				t.Run(arch+"/"+generation+"/"+c.name(), func(t *testing.T) {
					t.Parallel()
					slots <- struct{}{}
					defer func() { <-slots }()
					if r.na {
						testAbsent(t, c, arch, generation)
						return
					}
					testCell(t, c, r, arch, generation)
				})
			}
		}
	}
}

// seen is what the sources say of one death of the guest.
type seen struct {
	// live and dump have the guest's words, machine and dead have none.
	live, machine, dump, dead ukdbg.FaultReport
	named, bare               ukdbg.FaultReport
}

func testCell(t *testing.T, c cell, r row, arch, generation string) {
	vm := start(t, c, arch, generation)
	console := vm.WaitConsole(t, "Unikraft halted", patience)
	dump := filepath.Join(t.TempDir(), "dump")
	vm.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + dump})
	var s seen
	s.live, s.machine = explained(t, vm.GDBAddr(), vm)
	s.dump, s.dead = explained(t, "core:"+dump, vm)
	s.named = inLog(t, console, vm.Debug)
	s.bare = inLog(t, console, "")

	bare := r.logC
	if generation == "a" {
		bare = r.logA
	}
	check(t, "log alone", s.bare, bare, arch)
	check(t, "log with image", s.named, r.named, arch)
	check(t, "live machine", s.machine, r.live, arch)
	check(t, "dump", s.dead, r.dump, arch)
	// With the guest's words it is no less than either says alone.
	if !r.live.last {
		for name, rep := range map[string]ukdbg.FaultReport{"live": s.live, "dump with its console": s.dump} {
			got := verdict{kind: rep.Fault.Kind, sub: rep.Fault.Subkind}
			if !r.live.agrees(got) || !r.named.agrees(got) || got.sub == "" && (r.live.sub != "" || r.named.sub != "") {
				t.Errorf("%s says %s, the machine %s and the log %s", name, got, r.live, r.named)
			}
		}
	} else if !r.live.among(s.named.Fault) {
		t.Errorf("the machine says %s, which is not among what the log says follows: %+v", r.live, s.named.Fault.Consequences)
	}

	for name, rep := range map[string]ukdbg.FaultReport{"live machine": s.machine, "dump": s.dead, "log with image": s.named, "live": s.live} {
		checkText(t, name, rep, c, name != "log with image" || generation == "c", name == "live machine" || name == "dump")
		if name != "log with image" || generation == "c" && !c.shortLog {
			checkStack(t, name, rep, c.frames, c.file)
		}
	}
	if generation == "c" && !c.shortLog && !slices.Equal(s.live.Functions, s.named.Functions) {
		// The later screen has all of it: who reads the log must come to the same
		// stack as who looks at the guest.
		t.Errorf("live the stack is %v, in the log %v", s.live.Functions, s.named.Functions)
	}
	checkRAM(t, vm, r, arch, s.machine)
	if !slices.Equal(s.dead.Functions, s.machine.Functions) {
		t.Errorf("live the stack is %v, in the dump %v", s.machine.Functions, s.dead.Functions)
	}
	if strings.Contains(s.live.Text, "of the log") || strings.Contains(s.live.Text, "not printed") ||
		!strings.Contains(s.live.Text, "told by the guest's console ring") {
		t.Errorf("live: says it was read in a log:\n%s", s.live.Text)
	}
	golden(t, c, arch, generation, s.live.Text)
}

// checkRAM: memory without registers and page tables says the same, or less.
func checkRAM(t *testing.T, vm *guesttest.VM, r row, arch string, machine ukdbg.FaultReport) {
	t.Helper()
	base := uint64(0)
	if arch == "arm64" {
		base = 1 << 30
	}
	file := filepath.Join(t.TempDir(), "ram")
	vm.QMP(t, "pmemsave", map[string]any{"val": base, "size": 64 << 20, "filename": file})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: "core:" + file, Image: vm.Debug, SourceMap: sources(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Leave(ctx)
	rep, err := s.MachineFault(ctx)
	if err != nil {
		t.Errorf("raw RAM: %v", err)
		return
	}
	got := verdict{kind: rep.Fault.Kind, sub: rep.Fault.Subkind}
	if !got.agrees(r.live) {
		t.Errorf("raw RAM: %s, want no other than %s\n%s", got, r.live, rep.Text)
	}
	if got != r.live {
		t.Logf("raw RAM says %s, the machine %s", got, r.live)
	}
	if !slices.Equal(rep.Functions, machine.Functions) {
		t.Errorf("raw RAM has the stack %v, the machine %v", rep.Functions, machine.Functions)
	}
}

// testAbsent: what an architecture or an image does not have, the guest says and
// goes on, and no source makes a fault of it.
func testAbsent(t *testing.T, c cell, arch, generation string) {
	vm := start(t, c, arch, generation)
	console := vm.WaitConsole(t, "this image does not have it", patience)
	dump := filepath.Join(t.TempDir(), "dump")
	vm.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + dump})
	for _, target := range []string{vm.GDBAddr(), "core:" + dump} {
		open(t, target, vm, func(ctx context.Context, s *ukdbg.Session) {
			for name, explain := range map[string]func(context.Context) (ukdbg.FaultReport, error){"with its words": s.Fault, "alone": s.MachineFault} {
				if rep, err := explain(ctx); !ukdbg.IsNoFault(err) {
					t.Errorf("%s, %s: want no fault, got %v and\n%s", target, name, err, rep.Text)
				}
			}
		})
	}
	for _, image := range []string{"", vm.Debug} {
		if found := faultsIn(t, console, image); len(found) != 0 {
			t.Errorf("a fault in the log of a guest that has none:\n%s", found[0].Text)
		}
	}
}

func start(t *testing.T, c cell, arch, generation string) *guesttest.VM {
	t.Helper()
	image := strings.TrimSuffix("ukguest-"+arch+"-"+c.variant, "-")
	return guesttest.Start(t, guesttest.Options{Image: image, GDB: "unix", Append: c.append(generation)})
}

// open gives f a session on a guest or a dump.
func open(t *testing.T, target string, vm *guesttest.VM, f func(context.Context, *ukdbg.Session)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: target, Image: vm.Debug, SourceMap: sources(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := s.Leave(ctx); err != nil {
			t.Error(err)
		}
	}()
	f(ctx, s)
}

// explained is the crash with and without the guest's words.
func explained(t *testing.T, target string, vm *guesttest.VM) (with, without ukdbg.FaultReport) {
	t.Helper()
	open(t, target, vm, func(ctx context.Context, s *ukdbg.Session) {
		var err error
		if with, err = s.Fault(ctx); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		if without, err = s.MachineFault(ctx); err != nil {
			t.Fatalf("%s, without its console: %v", target, err)
		}
	})
	return with, without
}

// inLog is the one fault in a console; image is "" for none.
func inLog(t *testing.T, console, image string) ukdbg.FaultReport {
	t.Helper()
	found := faultsIn(t, console, image)
	if len(found) != 1 {
		t.Fatalf("%d faults in the log, want 1:\n%s", len(found), console)
	}
	return found[0]
}

func faultsIn(t *testing.T, console, image string) (found []ukdbg.FaultReport) {
	t.Helper()
	s, err := ukdbg.OpenImage(context.Background(), ukdbg.Options{Image: image, SourceMap: sources(t)})
	if err != nil {
		t.Fatal(err)
	}
	err = s.ReadLog(context.Background(), strings.NewReader(console), func(r ukdbg.FaultReport) error {
		found = append(found, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sources(t *testing.T) []ukdbg.SourceMap {
	return []ukdbg.SourceMap{{From: images.SourcePrefix, To: guesttest.SourceRoot(t)}}
}

func check(t *testing.T, source string, r ukdbg.FaultReport, want verdict, arch string) {
	t.Helper()
	f := r.Fault
	if f.Kind != want.kind || f.Subkind != want.sub {
		t.Errorf("%s: %s (%s), want %s\n%s", source, f.Kind, f.Subkind, want, r.Text)
	}
	if f.Thread != "worker-2" {
		t.Errorf("%s: the thread is %q", source, f.Thread)
	}
	if f.Arch != nil && f.Arch.Name != arch {
		t.Errorf("%s: the architecture is %s", source, f.Arch.Name)
	}
}

// among says that a fault's consequences have the verdict.
func (a verdict) among(f *asserts.Fault) bool {
	for _, c := range f.Consequences {
		if a.agrees(verdict{kind: c.Kind, sub: c.Subkind}) {
			return true
		}
	}
	return false
}

// checkText wants the cause in the first line and what else must be said.
func checkText(t *testing.T, source string, r ukdbg.FaultReport, c cell, stack, machine bool) {
	t.Helper()
	f := r.Fault
	first, _, _ := strings.Cut(r.Text, "\n")
	cause := f.Cause.Text
	if cause == "" {
		cause, _, _ = strings.Cut(f.Reason, "\n")
	}
	if !strings.HasPrefix(first, string(f.Kind)) || !strings.Contains(first, asserts.Escape(cause)) {
		t.Errorf("%s: the first line is %q, the cause %q", source, first, cause)
	}
	words := c.told
	if stack {
		words = slices.Concat(words, c.traced)
	}
	if machine {
		words = slices.Concat(words, c.machine)
		if !strings.Contains(r.Text, "told by the machine") {
			t.Errorf("%s: does not say that it was told by the machine:\n%s", source, r.Text)
		}
		if name := ""; c.object != "" {
			if f.Object != nil {
				name = f.Object.Name
			}
			if name != c.object {
				t.Errorf("%s: the address belongs to %q, want %q\n%s", source, name, c.object, r.Text)
			}
		}
	}
	for _, w := range words {
		if !strings.Contains(f.Cause.Text+"\n"+f.Reason, w) {
			t.Errorf("%s: no %q in cause %q and reason %q", source, w, f.Cause.Text, f.Reason)
		}
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
