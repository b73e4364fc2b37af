package gdbstub

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// The guest's own stub on its second serial port, over each way to reach it.

func startGuest(t *testing.T, a, serial, options string) (*guesttest.VM, target.Spec) {
	t.Helper()
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-" + a, Serial2: serial, Append: options})
	spec, err := target.ParseSpec(vm.Serial2Addr())
	must(t, err)
	return vm, spec
}

// dialBoot attaches once the guest has got to its boot wait: bytes sent earlier
// would stay in the serial port.
func dialBoot(t *testing.T, vm *guesttest.VM, spec target.Spec) *Client {
	t.Helper()
	owner := symbols(t, vm.Debug)["owner"] // the CPU inside the stub, -1 for none
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if out := vm.HMP(t, fmt.Sprintf("x /1wx %#x", owner)); strings.Contains(out, ": 0x00000000") {
			return dialGuest(t, spec)
		}
		if time.Now().After(end) {
			t.Fatalf("the guest does not get to its boot wait; console:\n%s", vm.Console())
		}
	}
}

func dialGuest(t *testing.T, spec target.Spec) *Client {
	t.Helper()
	c, err := Dial(bg, spec, Options{})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// text returns the link-time bytes at addr.
func text(t *testing.T, path string, addr uint64, n int) []byte {
	t.Helper()
	f, err := elf.Open(path)
	must(t, err)
	defer f.Close()
	p := make([]byte, n)
	for _, s := range f.Progs {
		if s.Type == elf.PT_LOAD && addr >= s.Vaddr && addr+uint64(n) <= s.Vaddr+s.Filesz {
			_, err := s.ReadAt(p, int64(addr-s.Vaddr))
			must(t, err)
			return p
		}
	}
	t.Fatalf("nothing in %s at %#x", path, addr)
	return nil
}

func TestInImageBootWait(t *testing.T) {
	for _, a := range archs {
		for _, serial := range []string{"pty", "tcp", "unix"} {
			t.Run(a+" "+serial, func(t *testing.T) { testInImageBootWait(t, a, serial) })
		}
	}
}

func testInImageBootWait(t *testing.T, a, serial string) {
	vm, spec := startGuest(t, a, serial, "debug.gdbwait")
	c := dialBoot(t, vm, spec)
	caps := c.Capabilities()
	if !caps.InImage || caps.CanInterrupt || c.Arch() == nil || c.Arch().Name != a {
		t.Fatalf("%+v, %v", caps, c.Arch())
	}
	at := symbols(t, vm.Debug)["request_parse"]
	orig := text(t, vm.Debug, at, 64)
	same := func() {
		t.Helper()
		p := make([]byte, len(orig))
		must(t, target.ReadFull(bg, c, p, at))
		if !bytes.Equal(p, orig) {
			t.Fatalf("text is %x, want %x", p, orig)
		}
	}
	same()
	b := target.Breakpoint{Addr: at}
	must(t, c.Insert(bg, b))
	same()
	for range 3 {
		must(t, c.Resume(bg))
		wantStop(t, c, target.StopBreakpoint)
		if got := pc(t, c, 0); got != at {
			t.Fatalf("pc %#x, want %#x", got, at)
		}
		// Over the breakpoint, as a session does it.
		must(t, c.Remove(bg, b))
		must(t, c.Resume(bg, target.Action{CPU: 0, Step: true}))
		wantStop(t, c, target.StopStep)
		if got := pc(t, c, 0); got <= at || got > at+16 {
			t.Fatalf("stepped to %#x", got)
		}
		must(t, c.Insert(bg, b))
	}
	var fault *target.FaultError
	if _, err := c.ReadMemory(bg, make([]byte, 8), 0x7fff_ffff_f000); !errors.As(err, &fault) {
		t.Fatalf("reading nothing: %v", err)
	}
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
	owner := symbols(t, vm.Debug)["owner"]
	eventually(t, "the guest is out of its stub", func() bool {
		return strings.Contains(vm.HMP(t, fmt.Sprintf("x /1wx %#x", owner)), ": 0xffffffff")
	})
	vm.WaitConsole(t, "command line:", 20*time.Second)
}

func TestInImageVariantWithBreak(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		vm, spec := startGuest(t, a, "pty", "debug.gdbint=1")
		// What is sent before the guest has set up its port is lost.
		vm.WaitConsole(t, "requests served", 20*time.Second)
		c := dialGuest(t, spec)
		if ran, known := c.FoundRunning(); !ran || !known {
			t.Fatal(ran, known)
		}
		at := symbols(t, vm.Debug)["request_parse"]
		must(t, c.Insert(bg, target.Breakpoint{Addr: at}))
		must(t, c.Resume(bg))
		wantStop(t, c, target.StopBreakpoint)
		must(t, c.Remove(bg, target.Breakpoint{Addr: at}))
		must(t, c.Resume(bg))
		time.Sleep(20 * time.Millisecond)
		must(t, c.Interrupt(bg))
		wantStop(t, c, target.StopInterrupt)
		// A breakpoint that is not hit: leaving has to stop the guest to undo it.
		idle := symbols(t, vm.Debug)["fault_crash"]
		orig := text(t, vm.Debug, idle, 4)
		must(t, c.Insert(bg, target.Breakpoint{Addr: idle}))
		must(t, c.Resume(bg))
		if f := leave(t, c); !f.Running || f.Stops < 3 {
			t.Fatalf("%+v", f)
		}
		again := dialGuest(t, spec)
		p := make([]byte, 4)
		must(t, target.ReadFull(bg, again, p, idle))
		if !bytes.Equal(p, orig) {
			t.Fatalf("text was left as %x, want %x", p, orig)
		}
		leave(t, again)
	})
}
