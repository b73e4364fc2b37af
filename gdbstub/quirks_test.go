package gdbstub

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Each quirk of a stub that was measured has a test here, named after it.

var bg = context.Background()

func dial(t testing.TB, s *stubtest.Stub, o Options) *Client {
	t.Helper()
	s.Listen(t)
	c, err := Dial(bg, s.Spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what the stub's goroutine is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

// running waits until the guest runs.
func running(t testing.TB, s *stubtest.Stub) {
	t.Helper()
	eventually(t, "running", func() (r bool) { s.Do(func() { r = s.Running }); return r })
}

func checkMemory(t testing.TB, c *Client, addr uint64, n int) {
	t.Helper()
	p := make([]byte, n)
	must(t, target.ReadFull(bg, c, p, addr))
	for i := range p {
		if want := stubtest.Byte(addr + uint64(i)); p[i] != want {
			t.Fatalf("byte at %#x is %#x, want %#x", addr+uint64(i), p[i], want)
		}
	}
}

func TestQuirkConnectingStopsARunningGuest(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	if ran, known := c.FoundRunning(); !ran || !known {
		t.Fatal(ran, known)
	}
	if stop := c.InitialStop(); stop.Reason != target.StopInterrupt || stop.CPU != 0 {
		t.Fatalf("%+v", stop)
	}
}

func TestQuirkAStoppedGuestSendsNoStopReply(t *testing.T) {
	s := stubtest.QEMU()
	s.Running = false
	s.Answer = monitorAnswers("7.2.22Debian 1:7.2+dfsg-7", "VM status: paused")
	c := dial(t, s, Options{})
	if ran, known := c.FoundRunning(); ran || !known {
		t.Fatal(ran, known)
	}
}

// monitorAnswers answers info version and info status as QEMU does.
func monitorAnswers(version, status string) func(string) (string, bool) {
	return func(p string) (string, bool) {
		text := ""
		switch p {
		case fmt.Sprintf("qRcmd,%x", "info version"):
			text = version
		case fmt.Sprintf("qRcmd,%x", "info status"):
			text = status
		default:
			return "", false
		}
		out := fmt.Sprintf("O%x", text+"\r\n")
		return "raw:$" + out + "#" + sum(out) + "$OK#9a", true
	}
}

func sum(s string) string {
	var n byte
	for i := range len(s) {
		n += s[i]
	}
	return fmt.Sprintf("%02x", n)
}

func TestQuirkQEMU81DoesNotTellThatTheGuestRan(t *testing.T) {
	for _, tc := range []struct {
		version, status string
		running, known  bool
		option          RunState
	}{
		{"8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)", "VM status: paused", false, false, RunUnknown},
		{"8.2.2", "VM status: paused (prelaunch)", false, true, RunUnknown},
		{"10.0.2", "VM status: paused (debug)", false, true, RunUnknown},
		{"8.0.5", "VM status: paused", false, true, RunUnknown},
		{"nonsense", "VM status: paused", false, false, RunUnknown},
		{"9.1.0", "VM status: paused", true, true, RunRunning},
		{"9.1.0", "VM status: paused", false, true, RunPaused},
	} {
		s := stubtest.QEMU()
		s.TellsNoStop = true
		s.Answer = monitorAnswers(tc.version, tc.status)
		c := dial(t, s, Options{Found: tc.option})
		if running, known := c.FoundRunning(); running != tc.running || known != tc.known {
			t.Errorf("%+v: running %v, known %v", tc, running, known)
		}
		f, err := c.Leave(bg)
		must(t, err)
		// What is not known is taken to have run, and that is said.
		if wantRun := tc.running || !tc.known; f.Running != wantRun || (f.Note == "") != tc.known {
			t.Errorf("%+v: farewell %+v", tc, f)
		}
	}
}

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

func TestQuirkAnyByteStopsARunningGuest(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Resume(bg))
	running(t, s)
	before := len(s.Raw())
	regs := func() error { _, err := c.ReadRegisters(bg, 0); return err }
	for name, f := range map[string]func() error{
		"memory":    func() error { _, err := c.ReadMemory(bg, make([]byte, 4), stubtest.Base); return err },
		"registers": regs,
		"write":     func() error { return c.WriteMemory(bg, []byte{1}, stubtest.Base) },
		"insert":    func() error { return c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}) },
		"resume":    func() error { return c.Resume(bg) },
		"cpus":      func() error { _, err := c.CPUs(bg); return err },
		"monitor":   func() error { _, err := c.Monitor(bg, "info status"); return err },
	} {
		if err := f(); !errors.Is(err, ErrRunning) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw := s.Raw()[before:]; raw != "" {
		t.Fatalf("sent to a running guest: %q", raw)
	}
	must(t, c.Interrupt(bg))
	wantStop(t, c, target.StopInterrupt)
	must(t, regs())
	must(t, c.Interrupt(bg)) // a stopped guest is left alone
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

func TestQuirkMultiprocessWantsTheProcessNamedInD(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
	if s.Count("D;1") != 1 || s.Breaks() != 0 {
		t.Fatalf("%q", s.Got())
	}
}

func TestQuirkPausedGuestIsLeftWithoutD(t *testing.T) {
	s := stubtest.QEMU()
	s.Running = false
	s.Answer = monitorAnswers("7.2.0", "VM status: paused")
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	if f := leave(t, c); f.Running || f.Stops != 0 || f.Stopped != 0 {
		t.Fatalf("%+v", f)
	}
	if s.Count("D") != 0 || s.Breaks() != 0 {
		t.Fatalf("%q", s.Got())
	}
}

func TestQuirkSecondClientGetsNoReply(t *testing.T) {
	s := stubtest.QEMU()
	first := dial(t, s, Options{})
	began := time.Now()
	_, err := Dial(bg, s.Spec, Options{})
	if took := time.Since(began); !errors.Is(err, ErrBusy) || took > 2*time.Second {
		t.Fatalf("%v after %v", err, took)
	}
	leave(t, first)
	var served int
	c, err := Dial(bg, s.Spec, Options{})
	must(t, err)
	s.Do(func() { served = s.Served() })
	if served != 2 {
		t.Fatalf("the stub served %d connections, want 2: the refused client must not have queued up", served)
	}
	leave(t, c)
}

func TestQuirkStopThroughTheMonitorIsAStopReply(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Resume(bg))
	running(t, s)
	s.Stop("T02thread:p01.01;")
	wantStop(t, c, target.StopForeign)
	// Somebody runs it, and stops it again.
	s.Stop("T02thread:p01.01;")
	if e := wait(t, c); e.Kind != target.EventResumed {
		t.Fatalf("%+v", e)
	}
	wantStop(t, c, target.StopForeign)
	if f := leave(t, c); f.Running {
		t.Fatal("somebody paused it, so it stays paused")
	}
}

func TestQuirkAPacketToAGuestSomebodyResumedIsSwallowed(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	for range 3 {
		s.Do(func() { s.Running = true })
		if _, err := c.ReadMemory(bg, make([]byte, 0x3000), stubtest.Base); !errors.Is(err, ErrMoved) {
			t.Fatal(err)
		}
		if e := wait(t, c); e.Kind != target.EventResumed {
			t.Fatalf("%+v", e)
		}
		wantStop(t, c, target.StopInterrupt)
		checkMemory(t, c, stubtest.Base, 0x3000)
	}
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
}

// The stop comes just before the packet, which is answered.
func TestQuirkAStopReplyBetweenRequestAndAnswer(t *testing.T) {
	s := stubtest.QEMU()
	once := true
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' && once {
			once = false
			stop, data := "T02thread:p01.01;", "00112233"
			return "raw:$" + stop + "#" + sum(stop) + "$" + data + "#" + sum(data), true
		}
		return "", false
	}
	c := dial(t, s, Options{})
	if _, err := c.ReadMemory(bg, make([]byte, 4), stubtest.Base); !errors.Is(err, ErrMoved) {
		t.Fatal(err)
	}
	if e := wait(t, c); e.Kind != target.EventResumed {
		t.Fatalf("%+v", e)
	}
	wantStop(t, c, target.StopForeign)
	checkMemory(t, c, stubtest.Base, 64)
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

func TestQuirkBareStubDescribesNothing(t *testing.T) {
	s := stubtest.Bare()
	s.Listen(t)
	c, err := Dial(bg, s.Spec, Options{Arch: arch.X86_64})
	must(t, err)
	defer c.Close()
	r, err := c.ReadRegisters(bg, 0)
	must(t, err)
	for i, name := range []string{"rax", "rbx", "rcx"} {
		if v, ok := r.Named(name); !ok || v != uint64(i)*0x11 {
			t.Errorf("%s %#x %v", name, v, ok)
		}
	}
	if _, ok := r.Named("fs_base"); ok {
		t.Error("fs_base is said to be known")
	}
	if _, err := c.ReadMemory(bg, make([]byte, 400), 0x10); err == nil {
		t.Error("memory where there is none")
	}
	if n := c.Capabilities().MemoryChunk; n != defaultChunk {
		t.Errorf("missing memory was taken for a limit of %d bytes", n)
	}
	checkMemory(t, c, stubtest.Base, 3000) // it learns that 200 is the most
	if n := c.Capabilities().MemoryChunk; n != 128 {
		t.Errorf("the largest read is taken to be %d", n)
	}
	if _, known := c.FoundRunning(); known {
		t.Error("the run state is said to be known")
	}
	must(t, c.Resume(bg))
	eventually(t, "c", func() bool { return s.Count("c") == 1 })
	s.Stop("S05")
	wantStop(t, c, target.StopSignal)
	f, err := c.Leave(bg)
	if err != nil || !f.Running || f.Note == "" || s.Count("D") != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestQuirkNoArchitecture(t *testing.T) {
	c := dial(t, stubtest.Bare(), Options{})
	if _, err := c.ReadRegisters(bg, 0); !errors.Is(err, errNoArch) {
		t.Fatal(err)
	}
	checkMemory(t, c, stubtest.Base, 100)
	leaveErr := func() error { _, err := c.Leave(bg); return err }
	must(t, leaveErr())
}

func TestLeaveAfterTheContextEnded(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	must(t, c.Resume(bg))
	running(t, s)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	f, err := c.Leave(ctx)
	if err != nil || !f.Running || f.Note != "" || s.Breaks() != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
}
