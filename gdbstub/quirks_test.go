package gdbstub

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// Each quirk of a stub that was measured has a test here, named after it.

func TestQuirkDollarAcknowledges(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	before := len(s.Raw())
	for range 5 {
		checkMemory(t, c, stubtest.Base, 5000)
	}
	if raw := s.Raw()[before:]; strings.ContainsAny(raw, "+") {
		t.Fatalf("acknowledgements were sent: %q", raw)
	}
}

// A stub that promises just what QEMU's does is asked several things at once;
// one that then is not QEMU's is asked anew, and acknowledged.
func TestQuirkNotEveryStubThatLooksLikeQEMUIsQEMU(t *testing.T) {
	s := stubtest.QEMU()
	s.Manners, s.Running = stubtest.Plain, false
	c := dial(t, s, Options{})
	if caps := c.Capabilities(); caps.Stub == "QEMU" || caps.Pipelining || caps.Physical {
		t.Fatalf("taken for %+v", caps)
	}
	if n := s.Count("vCont?"); n != 1 {
		t.Errorf("asked vCont? %d times", n)
	}
	before := len(s.Raw())
	checkMemory(t, c, stubtest.Base, 100)
	eventually(t, "an answer acknowledged", func() bool { return strings.Contains(s.Raw()[before:], "+") })
}

// QEMU takes many questions at once, and while they are answered the guest is
// stopped.
func TestQuirkQuestionsToQEMUGoOutTogether(t *testing.T) {
	s := stubtest.QEMU()
	questions := []string{"qqemu.sstepbits", "?", "qfThreadInfo", "qsThreadInfo", "qqemu.PhyMemMode", "qXfer:features:read:target.xml:0,7f0"}
	s.Answer = func(p string) (string, bool) { return "none", slices.Contains(questions, p) }
	s.Listen(t)
	failed := make(chan error, 1)
	go func() {
		_, err := Dial(bg, s.Spec, Options{})
		failed <- err
	}()
	for _, q := range questions {
		eventually(t, q, func() bool { return s.Count(q) == 1 })
	}
	s.Hangup()
	if err := <-failed; err == nil {
		t.Error("attached without an answer")
	}
}

func TestQuirkProcessorsAreListedOnceAStop(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	for range 3 {
		_, err := c.CPUs(bg)
		must(t, err)
	}
	if n := s.Count("qfThreadInfo"); n != 1 {
		t.Errorf("listed %d times", n)
	}
	must(t, c.Resume(bg))
	running(t, s)
	s.Stop("T05thread:p01.01;")
	wantStop(t, c, target.StopSignal)
	_, err := c.CPUs(bg)
	must(t, err)
	if n := s.Count("qfThreadInfo"); n != 2 {
		t.Errorf("listed %d times after a stop", n)
	}
}

func TestQuirkLargestReadIs0x800(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	checkMemory(t, c, stubtest.Base, 0x4000)
	if n := s.Count("m"); n != 8 {
		t.Fatalf("%d packets for 0x4000 bytes, want 8", n)
	}
}

func TestQuirkReadsAreInFlightTogether(t *testing.T) {
	s := stubtest.QEMU()
	var flying, most int
	release := make(chan struct{}, 100)
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' {
			flying++
			most = max(most, flying)
			release <- struct{}{}
			return "none", true
		}
		return "", false
	}
	c := dial(t, s, Options{})
	go func() {
		_, _ = c.ReadMemory(bg, make([]byte, 0x800*20), stubtest.Base) // ends with the test
	}()
	for range 4 {
		<-release
	}
	time.Sleep(20 * time.Millisecond)
	s.Do(func() {
		if most != 4 {
			t.Errorf("%d reads in flight, want 4", most)
		}
	})
	s.Hangup()
}

func TestQuirkPIsEmptyUntilTargetXMLWasRead(t *testing.T) {
	s := stubtest.QEMU()
	s.XML["target.xml"] = strings.Replace(s.XML["target.xml"], "</target>", `<feature name="x"><reg name="cr3" bitsize="64" regnum="77"/></feature></target>`, 1)
	read := false
	s.Answer = func(p string) (string, bool) {
		read = read || strings.HasPrefix(p, "qXfer:features:read:target.xml")
		if p == "p4d" && read {
			return "0010000000000000", true
		}
		return "", false
	}
	c := dial(t, s, Options{})
	regs, err := c.ReadSystemRegisters(bg, 0)
	must(t, err)
	if v := regs["cr3"]; len(v) != 8 || binary.LittleEndian.Uint64(v) != 0x1000 {
		t.Fatalf("cr3 %x", v)
	}
}

func TestQuirkProcessorsAreThreadsOfOneProcess(t *testing.T) {
	s := stubtest.QEMU()
	s.Threads = "mp01.01,p01.02"
	c := dial(t, s, Options{})
	cpus, err := c.CPUs(bg)
	must(t, err)
	if !slices.Equal(cpus, []target.CPU{0, 1}) {
		t.Fatal(cpus)
	}
	_, err = c.ReadRegisters(bg, 1)
	must(t, err)
	_, err = c.ReadRegisters(bg, 1)
	must(t, err)
	if n := s.Count("Hgp1.2"); n != 1 {
		t.Fatalf("selected %d times", n)
	}
	must(t, c.Resume(bg, target.Action{CPU: 1, Step: true}, target.Action{CPU: target.AllCPUs}))
	eventually(t, "vCont", func() bool { return s.Count("vCont;s:p1.2;c") == 1 })
	s.Stop("T05thread:p01.02;")
	if stop := wantStop(t, c, target.StopStep); stop.CPU != 1 {
		t.Fatalf("%+v", stop)
	}
	_, err = c.ReadRegisters(bg, 1)
	must(t, err)
	if n := s.Count("Hgp1.2"); n != 2 {
		t.Fatal("the stub selects the processor that stopped, so it is selected anew")
	}
}

func TestQuirkQuestionMarkDeletesBreakpoints(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	must(t, c.Resume(bg))
	running(t, s)
	s.Stop("T05thread:p01.01;")
	wantStop(t, c, target.StopBreakpoint)
	checkMemory(t, c, stubtest.Base, 10)
	if n := s.Count("?"); n != 1 {
		t.Fatalf("? was sent %d times; once, at the attachment, cleans up after others", n)
	}
	if s.Breaks() != 1 {
		t.Fatal("the breakpoint is gone")
	}
}

func TestQuirkUnderKVMBreakpointsShowInMemory(t *testing.T) {
	s := stubtest.QEMU()
	s.ZPatch = "cc"
	c := dial(t, s, Options{})
	at := uint64(stubtest.Base + 100)
	must(t, c.Insert(bg, target.Breakpoint{Addr: at}))
	checkMemory(t, c, stubtest.Base, 0x1000)
	checkMemory(t, c, at, 1)
	must(t, c.WriteMemory(bg, []byte{0xaa, 0xbb, 0xcc}, at-1))
	p := make([]byte, 3)
	must(t, target.ReadFull(bg, c, p, at-1))
	mem := func() (p []byte) { s.Do(func() { p = bytes.Clone(s.Mem[99:102]) }); return p }
	if !bytes.Equal(p, []byte{0xaa, 0xbb, 0xcc}) || s.Breaks() != 1 || mem()[1] != 0xcc {
		t.Fatalf("%x, %d breakpoints, memory %x", p, s.Breaks(), mem())
	}
	leave(t, c)
	if !bytes.Equal(mem(), []byte{0xaa, 0xbb, 0xcc}) {
		t.Fatalf("memory %x", mem())
	}
}
