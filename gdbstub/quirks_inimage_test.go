package gdbstub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// The quirks of the stub inside a Unikraft image.

func TestQuirkInImageStubWaitsForAnAcknowledgementOfItsStop(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	caps := c.Capabilities()
	if !caps.InImage || caps.CanInterrupt || caps.WhyNot == "" || !caps.PatchesText || caps.Physical || caps.CPUs != 1 {
		t.Fatalf("%+v", caps)
	}
	if c.Arch() != arch.X86_64 {
		t.Fatal("a description without <architecture> is known by its registers")
	}
	if ran, known := c.FoundRunning(); ran || !known {
		t.Fatal(ran, known)
	}
	before := len(s.Raw())
	checkMemory(t, c, stubtest.Base, 3000)
	if raw := s.Raw()[before:]; strings.Contains(raw, "+") {
		t.Fatalf("acknowledged after QStartNoAckMode: %q", raw)
	}
}

func TestQuirkInImageReadsAtMost1024(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	checkMemory(t, c, stubtest.Base, 0x3000)
	if n := s.Count("m"); n != 12 {
		t.Fatalf("%d packets for 0x3000 bytes", n)
	}
	end := uint64(stubtest.Base + len(s.Mem))
	p := make([]byte, 4096)
	n, err := c.ReadMemory(bg, p, end-100)
	var f *target.FaultError
	if n != 100 || !errors.As(err, &f) || f.Addr != end {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

func TestQuirkInImageEmptyAnswerIsUnreadable(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	var f *target.FaultError
	if n, err := c.ReadMemory(bg, make([]byte, 8), 0x10); n != 0 || !errors.As(err, &f) || f.Addr != 0x10 {
		t.Fatal(n, err)
	}
}

func TestQuirkInImageRegistersSentAsZeroAreUnknown(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	r, err := c.ReadRegisters(bg, 0)
	must(t, err)
	if v, ok := r.Named("rip"); !ok || v != 16*0x11 {
		t.Fatalf("rip %#x", v)
	}
	for _, n := range []string{"ds", "es", "fs", "gs", "fs_base"} {
		if v, ok := r.Named(n); ok {
			t.Errorf("%s is said to be %#x", n, v)
		}
	}
	must(t, c.WriteRegister(bg, 0, arch.X86RBX, 0xabcdef))
	if r, err = c.ReadRegisters(bg, 0); err != nil {
		t.Fatal(err)
	}
	if v, _ := r.Named("rbx"); v != 0xabcdef || s.Count("G") != 1 {
		t.Fatalf("rbx %#x, written by %q", v, s.Got())
	}
}

func TestQuirkInImageBreakpointsArePatchedText(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	at := uint64(stubtest.Base + 0x40)
	b := target.Breakpoint{Addr: at}
	must(t, c.Insert(bg, b))
	s.Do(func() {
		if s.Mem[0x40] != 0xcc {
			t.Errorf("text is %#x", s.Mem[0x40])
		}
	})
	checkMemory(t, c, stubtest.Base, 0x100)
	must(t, c.Resume(bg))
	running(t, s)
	// The trap reports the pc behind the instruction.
	s.Do(func() { binary.LittleEndian.PutUint64(s.Regs[stubtest.RIP:], at+1) })
	s.Stop("S05")
	wantStop(t, c, target.StopBreakpoint)
	if got := pc(t, c, 0); got != at {
		t.Fatalf("pc %#x, want %#x", got, at)
	}
	s.Do(func() {
		if got := binary.LittleEndian.Uint64(s.Regs[stubtest.RIP:]); got != at {
			t.Errorf("pc in the guest %#x, want %#x", got, at)
		}
	})
	// A trap of the guest's own is none of ours.
	must(t, c.Resume(bg))
	running(t, s)
	s.Do(func() { binary.LittleEndian.PutUint64(s.Regs[stubtest.RIP:], at+0x20) })
	s.Stop("S05")
	wantStop(t, c, target.StopSignal)
	if got := pc(t, c, 0); got != at+0x20 {
		t.Fatalf("pc %#x was moved", got)
	}
	must(t, c.Remove(bg, b))
	checkMemory(t, c, stubtest.Base, 0x100)
}

func TestQuirkInImageHasNoD(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
	eventually(t, "running", func() (r bool) { s.Do(func() { r = s.Running && s.Mem[0] == stubtest.Byte(stubtest.Base) }); return r })
	if s.Count("D") != 0 || s.Count("vCont;c") != 1 {
		t.Fatalf("%q", s.Got())
	}
}

func TestQuirkInImageTakesOnlyNamelessVCont(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	must(t, c.Resume(bg, target.Action{CPU: 0, Step: true}))
	eventually(t, "step", func() bool { return s.Count("vCont;s") == 1 })
	if got := s.Got(); got[len(got)-1] != "vCont;s" {
		t.Fatalf("%q", got)
	}
	s.Stop("S05")
	wantStop(t, c, target.StopStep)
}

func TestQuirkInImageWriteSaysOKThoughItFailed(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	var f *target.FaultError
	if err := c.WriteMemory(bg, []byte{1, 2}, 0x10); !errors.As(err, &f) || f.Addr != 0x10 {
		t.Fatal(err)
	}
}

func TestQuirkInImageHearsNothingWhileTheGuestRuns(t *testing.T) {
	s := stubtest.Unikraft()
	s.Running = true
	s.Listen(t)
	began := time.Now()
	_, err := Dial(bg, s.Spec, Options{})
	if took := time.Since(began); !errors.Is(err, ErrSilent) || took > 2*time.Second || !strings.Contains(err.Error(), "boot wait") {
		t.Fatalf("%v after %v", err, took)
	}
}

func TestQuirkInImageVariantStopsOnABreak(t *testing.T) {
	s := stubtest.Unikraft()
	s.Running, s.HearsBreak = true, true
	c := dial(t, s, Options{})
	if ran, known := c.FoundRunning(); !ran || !known {
		t.Fatal(ran, known)
	}
	if caps := c.Capabilities(); !caps.CanInterrupt {
		t.Fatalf("%+v", caps)
	}
	checkMemory(t, c, stubtest.Base, 100)
	must(t, c.Resume(bg))
	running(t, s)
	must(t, c.Interrupt(bg))
	wantStop(t, c, target.StopInterrupt)
	leave(t, c)
}

func TestQuirkInImageInterruptIsTriedAndDoubted(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	must(t, c.Resume(bg))
	running(t, s)
	if err := c.Interrupt(bg); !errors.Is(err, target.ErrUnsupported) {
		t.Fatal(err)
	}
	began := time.Now()
	f, err := c.Leave(bg)
	if took := time.Since(began); err == nil || took > leaveTimeout+time.Second {
		t.Fatalf("%v after %v", err, took)
	}
	if !f.Running || !strings.Contains(f.Note, "0x100000") {
		t.Fatalf("what could not be undone is not told: %+v", f)
	}
}

func TestQuirkConsoleOutputArrivesAsOPackets(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	must(t, c.Resume(bg))
	running(t, s)
	s.Packet(fmt.Sprintf("O%x", "hello "))
	s.Say("raw text\r\n")
	s.Packet(fmt.Sprintf("O%x", "$#}*\x03"))
	s.Stop("S05")
	var text []byte
	for e := range c.Events() {
		if e.Kind != target.EventOutput {
			break
		}
		text = append(text, e.Text...)
	}
	if string(text) != "hello raw text\r\n$#}*\x03" {
		t.Fatalf("%q", text)
	}
}
