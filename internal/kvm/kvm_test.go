package kvm

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

const patience = 60 * time.Second

// image is the guest of this host's architecture, the only one KVM runs.
func image(t *testing.T) string {
	t.Helper()
	switch runtime.GOARCH {
	case "amd64":
		return "ukguest-x86_64"
	case "arm64":
		return "ukguest-arm64"
	}
	notRun(t, "there is no guest for "+runtime.GOARCH)
	return ""
}

func notRun(t *testing.T, why string) {
	t.Helper()
	t.Skip("KVM: not run: " + why)
}

// boot starts the guest under KVM and waits until it serves.
func boot(t *testing.T) *guesttest.VM {
	t.Helper()
	name := image(t)
	guesttest.NeedKVM(t)
	vm := guesttest.Start(t, guesttest.Options{Image: name, Accel: "kvm", GDB: "unix"})
	// A KVM that cannot run the guest stops it with an internal error or lets
	// it hang; that is the host's affair. One that has booted must work.
	for end := time.Now().Add(patience); !strings.Contains(vm.Console(), "requests served"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			notRun(t, fmt.Sprintf("the guest does not boot on it in 20 s; console: %q", vm.Console()))
		}
	}
	return vm
}

func open(t *testing.T, vm *guesttest.VM) *ukdbg.Session {
	t.Helper()
	s, err := ukdbg.Open(t.Context(), ukdbg.Options{
		Target: vm.GDBAddr(), Image: vm.Debug,
		SourceMap: []ukdbg.SourceMap{{From: images.SourcePrefix, To: guesttest.SourceRoot(t)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Leave(context.Background()) })
	return s
}

// function is a function of the image: its address and link-time bytes.
func function(t *testing.T, vm *guesttest.VM, name string, n int) (addr uint64, code []byte) {
	t.Helper()
	f, err := elf.Open(vm.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	section := f.Section(".text")
	text, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name {
			return s.Value, text[s.Value-section.Addr:][:n]
		}
	}
	t.Fatalf("no symbol %s", name)
	return 0, nil
}

var dumped = regexp.MustCompile(`0x([0-9a-f]{2})\b`)

// inRAM reads the guest's memory past the stub, by QEMU's monitor.
func inRAM(t *testing.T, vm *guesttest.VM, addr uint64, n int) (out []byte) {
	t.Helper()
	for _, m := range dumped.FindAllStringSubmatch(vm.HMP(t, fmt.Sprintf("xp /%dbx %#x", n, addr)), -1) {
		v, err := strconv.ParseUint(m[1], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, byte(v))
	}
	return out
}

// TestSession attaches, looks at threads, stops at a breakpoint, steps over it
// and goes on to it again; leaves with one set.
func TestSession(t *testing.T) {
	t.Run("hardware", func(t *testing.T) { testSession(t, target.BreakHardware) })
	t.Run("software", func(t *testing.T) { testSession(t, target.BreakSoftware) })
}

func testSession(t *testing.T, kind target.BreakKind) {
	vm := boot(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := open(t, vm)
	threads, err := s.Threads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, th := range threads {
		names = append(names, th.Name)
		if _, err := s.Backtrace(ctx, th); err != nil {
			t.Errorf("backtrace of %s: %v", th.Name, err)
		}
	}
	for _, want := range []string{"main", "worker-1", "worker-2", "worker-3", "disk", "acceptor"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("no thread %s among %v", want, names)
		}
	}
	at, code := function(t, vm, "request_parse", 32)
	b, err := s.AddBreakpoint(ukdbg.Breakpoint{Kind: kind, Where: "request_parse", Addrs: []uint64{at}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		rep, err := s.Continue(ctx)
		if err != nil || rep.Cause != ukdbg.CauseBreakpoint || len(rep.Hit) != 1 || rep.Hit[0] != b {
			t.Fatalf("continue: %+v, %v", rep, err)
		}
		th, err := s.CurrentThread(ctx, rep.CPU)
		if err != nil || th.Name != "acceptor" || th.Regs.PC() != at {
			t.Fatalf("stopped in %q at %#x, want acceptor at %#x (%v)", th.Name, th.Regs.PC(), at, err)
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		rep, err = s.Step(short, th, ukdbg.StepInstruction)
		cancel()
		if status := vm.HMP(t, "info status"); kind == target.BreakSoftware && strings.Contains(status, "internal-error") {
			// Seen on a KVM that emulates the guest's ring 0: it cannot go on
			// after an int3, whoever the debugger is.
			notRun(t, "software breakpoints: this KVM cannot resume after one ("+strings.TrimSpace(status)+")")
		}
		if err != nil || rep.Cause != ukdbg.CauseStep {
			t.Fatalf("stepping over the breakpoint: %+v, %v", rep, err)
		}
		if th, err = s.CurrentThread(ctx, rep.CPU); err != nil || th.Regs.PC() <= at || th.Regs.PC() > at+16 {
			t.Fatalf("stepped to %#x from %#x (%v)", th.Regs.PC(), at, err)
		}
	}
	if bye, err := s.Leave(ctx); err != nil || !bye.Running {
		t.Fatalf("left with %+v, %v", bye, err)
	}
	if got := inRAM(t, vm, at, len(code)); !bytes.Equal(got, code) {
		t.Errorf("the text was left as % x, want % x", got, code)
	}
	before := len(vm.Console())
	for end := time.Now().Add(patience); len(vm.Console()) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the guest that was left does not work")
		}
	}
}

// TestBreakpointInRAM: under KVM a breakpoint is written into RAM. Whoever reads
// through us sees the image's bytes all the same, and the image still matches
// for a second session that begins with such a byte left in RAM.
func TestBreakpointInRAM(t *testing.T) {
	vm := boot(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := open(t, vm)
	at, code := function(t, vm, "fault_crash", 16)
	if _, err := s.AddBreakpoint(ukdbg.Breakpoint{Kind: target.BreakSoftware, Where: "fault_crash", Addrs: []uint64{at}}); err != nil {
		t.Fatal(err)
	}
	// The breakpoint is never hit; look into RAM while the guest runs with it.
	seen := make(chan []byte, 1)
	run, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if got := inRAM(t, vm, at, 1); got[0] != code[0] {
				seen <- got
				return
			}
		}
	}()
	rep, err := s.Continue(run)
	if err != nil || rep.Cause != ukdbg.CauseInterrupt {
		t.Fatalf("continue: %+v, %v", rep, err)
	}
	select {
	case got := <-seen:
		t.Logf("in RAM while the guest ran: %x where the image has %x", got, code[:1])
	default:
		t.Error("the breakpoint was never in RAM: this is no KVM as known")
	}
	got := make([]byte, len(code))
	if err := target.ReadFull(ctx, s.Memory(), got, at); err != nil || !bytes.Equal(got, code) {
		t.Errorf("read % x, want % x (%v)", got, code, err)
	}
	if bye, err := s.Leave(ctx); err != nil || !bye.Running {
		t.Fatalf("left with %+v, %v", bye, err)
	}
	if got := inRAM(t, vm, at, len(code)); !bytes.Equal(got, code) {
		t.Errorf("the text was left as % x, want % x", got, code)
	}
	again := open(t, vm)
	if w := again.Warning(); w != "" {
		t.Errorf("the second session warns: %s", w)
	}
}
