package unwind_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// window is memory around a stack pointer as gdb dumped it; outside is a hole.
type window struct {
	addr uint64
	data []byte
	// reads counts requests, each a round trip to a live guest.
	reads int
}

func (w *window) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	w.reads++
	off := addr - w.addr
	if off >= uint64(len(w.data)) {
		return 0, &target.FaultError{Addr: addr}
	}
	n := copy(p, w.data[off:])
	if n < len(p) {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

// stop is one stop of the guest as gdb sees it.
type stop struct {
	regs   target.Regs
	mem    *window
	frames []gdbFrame
}

type gdbFrame struct {
	pc       uint64
	tailCall bool
	regs     map[string]uint64
}

// compared names the registers compared in every frame.
func compared(a *arch.Arch) []string {
	if a == arch.ARM64 {
		return []string{"sp", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28"}
	}
	return []string{"rsp", "rbx", "rbp", "r12", "r13", "r14", "r15"}
}

// script is what gdb is told to do.
type script struct {
	strings.Builder
	arch  *arch.Arch
	dir   string // for the stacks
	stops int
}

func newScript(t *testing.T, a *arch.Arch) *script {
	t.Helper()
	s := &script{arch: a, dir: t.TempDir()}
	s.say("set pagination off\nset confirm off\nset width 0\nset backtrace limit 64\nset backtrace past-main on")
	python, err := filepath.Abs("testdata/frames.py")
	if err != nil {
		t.Fatal(err)
	}
	s.say("source %s", python)
	return s
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// report lets gdb tell registers, memory and backtrace.
func (s *script) report() {
	s.say("echo \\n@stop %d\\n", s.stops)
	for _, r := range s.arch.Regs {
		if r.Bits == 64 && r.Num < 50 && !strings.Contains(r.Name, "TPIDR") {
			s.say("printf \"@reg %s %%lx\\n\", $%s", r.Name, r.Name)
		}
	}
	s.say("python save('%s/%d')", s.dir, s.stops)
	s.say("python frames(%q)", strings.Join(compared(s.arch), " "))
	s.stops++
}

// run gives the script to gdb and returns the stops it reports.
func (s *script) run(t *testing.T, debug string) []stop {
	t.Helper()
	path := filepath.Join(s.dir, "script")
	if err := os.WriteFile(path, []byte(s.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "gdb-multiarch", "-nx", "-batch", "-x", path, debug).CombinedOutput()
	// At its end gdb kills the guest, and complains if that was faster than it.
	if err != nil && !bytes.Contains(out, []byte("Target disconnected")) {
		t.Fatalf("gdb-multiarch is needed by this test (make tools installs it): %v\n%s", err, out)
	}
	stops := parseStops(t, string(out), s.dir, s.arch)
	if len(stops) != s.stops {
		t.Fatalf("%d stops of %d\n%s", len(stops), s.stops, out)
	}
	return stops
}

// gdbStops lets gdb drive the guest: it stops at each break in turn, then steps
// from there in strides, and tells registers, memory and backtrace each time.
func gdbStops(t *testing.T, vm *guesttest.VM, a *arch.Arch, breaks []string, strides int) []stop {
	t.Helper()
	s := newScript(t, a)
	s.say("target remote %s", strings.TrimPrefix(vm.GDBAddr(), "tcp:"))
	for _, b := range breaks {
		s.say("tbreak %s\ncontinue", b)
		s.report()
	}
	for i := range strides {
		s.say("stepi %d", 61+i*7)
		s.report()
	}
	s.say("detach")
	return s.run(t, vm.Debug)
}

func parseStops(t *testing.T, out, dir string, a *arch.Arch) []stop {
	t.Helper()
	var stops []stop
	hex := func(s string) uint64 {
		v, err := strconv.ParseUint(s, 16, 64)
		if err != nil {
			t.Fatalf("gdb printed %q", s)
		}
		return v
	}
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "@frame" && len(f) < 3 {
			continue
		}
		switch f[0] {
		case "@stop":
			data, err := os.ReadFile(filepath.Join(dir, f[1]))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			stops = append(stops, stop{regs: target.NewRegs(a), mem: &window{data: data}})
		case "@reg":
			s := &stops[len(stops)-1]
			r, _ := a.Reg(f[1])
			s.regs.Set(r.Num, hex(f[2]))
			s.mem.addr = s.regs.SP() &^ 4095
		case "@frame":
			s := &stops[len(stops)-1]
			g := gdbFrame{pc: hex(f[1]), tailCall: f[2] == "1", regs: map[string]uint64{}}
			for i, name := range compared(a) {
				if i+3 < len(f) {
					g.regs[name] = hex(f[i+3])
				}
			}
			s.frames = append(s.frames, g)
		}
	}
	return stops
}

// sameAsGDB compares one walk with gdb's, register by register.
func sameAsGDB(t *testing.T, mods symbolizer.Mappings, a *arch.Arch, s *stop, opt unwind.Options) {
	t.Helper()
	frames, err := unwind.Unwind(context.Background(), s.mem, mods, s.regs, opt)
	frames = unwind.TailCalls(mods, frames)
	describe := func() string {
		var b strings.Builder
		for i := range max(len(frames), len(s.frames)) {
			name := ""
			if i < len(frames) {
				if locs, err := mods.Resolve(frames[i].LookupPC); err == nil {
					name = locs[len(locs)-1].Function
				}
				fmt.Fprintf(&b, "  %2d ours %#x %s", i, frames[i].PC, frames[i].How)
			}
			if i < len(s.frames) {
				fmt.Fprintf(&b, "  gdb %#x jumped %v", s.frames[i].pc, s.frames[i].tailCall)
			}
			fmt.Fprintf(&b, "  %s\n", name)
		}
		return b.String()
	}
	// Above the first function of a thread gdb shows a frame at 0.
	if n := len(s.frames); n > 1 && s.frames[n-1].pc == 0 {
		s.frames = s.frames[:n-1]
	}
	if len(frames) != len(s.frames) {
		t.Errorf("%d frames, gdb has %d (%v)\n%s", len(frames), len(s.frames), err, describe())
		return
	}
	for i := range frames {
		if frames[i].PC != s.frames[i].pc || (frames[i].How == unwind.CallSite) != s.frames[i].tailCall {
			t.Errorf("frame %d differs (%v)\n%s", i, err, describe())
			return
		}
		for name, want := range s.frames[i].regs {
			if got, ok := frames[i].Regs.Named(name); ok && got != want {
				t.Errorf("frame %d: %s is %#x, gdb says %#x\n%s", i, name, got, want, describe())
			}
		}
	}
	var stopped *unwind.StopError
	if err != nil && !errors.As(err, &stopped) {
		t.Errorf("error %T: %v", err, err)
	}
	if s.mem.reads > 4+len(frames)/4 {
		t.Errorf("%d reads for %d frames", s.mem.reads, len(frames))
	}
}

func TestSameFramesAsGDB(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-x86_64-nofp", "ukguest-x86_64-pie", "ukguest-arm64", "ukguest-arm64-nofp"} {
		t.Run(name, func(t *testing.T) {
			vm := guesttest.Start(t, guesttest.Options{Image: name, GDB: "tcp", Paused: true})
			im, err := symbolizer.Open(vm.Debug)
			if err != nil {
				t.Fatal(err)
			}
			mods := symbolizer.Mappings{{Image: im}}
			stops := gdbStops(t, vm, im.Arch(), []string{"uk_sched_thread_sleep", "disk_transfer", "send_reply", "bbuddy_palloc", "request_parse", "uk_mutex_unlock"}, 24)
			total, jumped := 0, 0
			for i := range stops {
				sameAsGDB(t, mods, im.Arch(), &stops[i], unwind.Options{})
				total += len(stops[i].frames)
				jumped += tailCalls(stops[i].frames)
			}
			t.Logf("%d frames in %d stops, %d of functions that left by a jump", total, len(stops), jumped)
		})
	}
}

func tailCalls(frames []gdbFrame) int {
	n := 0
	for _, f := range frames {
		if f.tailCall {
			n++
		}
	}
	return n
}
