package guard

import (
	"bufio"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// The test binary is also the guard, and the client that is killed.
func TestMain(m *testing.M) {
	if IsMain(os.Args) {
		os.Exit(Main(os.Args))
	}
	if len(os.Args) == 3 && os.Args[1] == "proxy" {
		pipes(os.Args[2])
		os.Exit(0)
	}
	if text := os.Getenv("UKDBG_TEST_CLIENT"); text != "" {
		if err := runClient(text); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// pipes is a command behind an exec: target, for the stub on a socket.
func pipes(path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin) // an end of either ends it
		conn.Close()
	}()
	_, _ = io.Copy(os.Stdout, conn)
}

// order is what a client that will be killed does before it waits for that.
type order struct {
	Target, TempMonitor, State, Monitor string
	Break                               []uint64 // inserted
	Run                                 bool     // the guest is let run then
	MaxPause, HungAfter                 time.Duration
	// Freeze: it suspends itself in the middle of a stop, and tells afterwards how a
	// read went.
	Freeze    bool
	Temporary bool
	Write     map[uint64][]byte
}

func runClient(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx := context.Background()
	opt := Options{Command: Self(), State: o.State, Verb: "test", Monitor: o.Monitor, MaxPause: o.MaxPause, HungAfter: o.HungAfter, ReadOnly: o.Freeze}
	link := gdbstub.Options{Temporary: o.Temporary}
	var a *Attachment
	var err error
	if o.TempMonitor != "" {
		a, err = TemporaryStub(ctx, qmp.Monitor{Path: o.TempMonitor}, opt, link)
	} else {
		var spec target.Spec
		if spec, err = target.ParseSpec(o.Target); err == nil {
			a, err = Attach(ctx, spec, opt, link)
		}
	}
	if err != nil {
		return err
	}
	for addr, p := range o.Write {
		if err := a.WriteMemory(ctx, p, addr); err != nil {
			return err
		}
	}
	for _, at := range o.Break {
		if err := a.Insert(ctx, target.Breakpoint{Addr: at}); err != nil {
			return err
		}
	}
	if o.Run {
		if err := a.Resume(ctx); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if o.Freeze {
		return freeze(ctx, a)
	}
	time.Sleep(time.Minute)
	return nil
}

// freeze stops the guest and suspends this process.
func freeze(ctx context.Context, a *Attachment) error {
	if err := a.Interrupt(ctx); err != nil {
		return err
	}
	for e := range a.Events() {
		if e.Kind == target.EventStopped {
			break
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // a thread that sends itself a signal runs on for a moment
	_, err := a.ReadRegisters(ctx, 0)
	fmt.Println("lapsed", errors.Is(err, target.ErrLapsed), err)
	bye, err := a.Leave(ctx)
	fmt.Printf("left %v %d %v\n", bye.Running, bye.Lapsed, err)
	return err
}

// client is a running one.
type client struct {
	cmd   *exec.Cmd
	state string
	out   *bufio.Reader
}

func start(t *testing.T, o order) *client {
	t.Helper()
	if o.State == "" {
		o.State = t.TempDir()
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{cmd: exec.Command("/proc/self/exe"), state: o.State}
	c.cmd.Env = append(os.Environ(), "UKDBG_TEST_CLIENT="+string(text))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cmd.Process.Kill() // it has mostly ended
		c.cmd.Wait()
	})
	c.out = bufio.NewReader(out)
	if line, err := c.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the client said %q, %v", line, err)
	}
	return c
}

func (c *client) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait() // killed
}

// vm is a guest with its text.
type vm struct {
	*guesttest.VM
	text []byte
	at   uint64
	sym  map[string]uint64
}

func boot(t *testing.T, opt guesttest.Options) *vm {
	t.Helper()
	g := &vm{VM: guesttest.Start(t, opt), sym: map[string]uint64{}}
	f, err := elf.Open(g.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".text")
	if g.text, err = s.Data(); err != nil {
		t.Fatal(err)
	}
	g.at = s.Addr
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		g.sym[s.Name] = s.Value
	}
	if !opt.Paused {
		g.WaitConsole(t, "requests served", 90*time.Second)
	}
	return g
}

// memory reads guest memory past every stub.
func (g *vm) memory(t *testing.T, at uint64, n int) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m")
	g.QMP(t, "pmemsave", map[string]any{"val": at, "size": n, "filename": file})
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mustBeAsFound waits until the state folder is empty and the VM as found.
func (g *vm) mustBeAsFound(t *testing.T, state string, running bool, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		list, err := os.ReadDir(guardDir(state))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 && g.Running(t) == running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %d folders, running %v, want %v\n%s", within, len(list), g.Running(t), running, logs(state))
		}
	}
	if string(g.memory(t, g.at, len(g.text))) != string(g.text) {
		t.Fatal("the guest's text is patched")
	}
	if !running {
		g.QMP(t, "cont", nil)
	}
	time.Sleep(50 * time.Millisecond)
	if !g.Running(t) {
		t.Fatal("the guest stops by itself: something is left in it")
	}
}

func logs(state string) string {
	var b strings.Builder
	list, _ := filepath.Glob(filepath.Join(guardDir(state), "*", "log"))
	for _, f := range append(list, filepath.Join(state, auditName)) {
		text, err := os.ReadFile(f)
		fmt.Fprintf(&b, "%s %v\n", text, err)
	}
	return b.String()
}

// stubs counts the stubs QEMU has.
func (g *vm) stubs(t *testing.T) int {
	t.Helper()
	return strings.Count(string(g.QMP(t, "query-chardev", nil)), `"label": "gdb`)
}

// proxy forwards to a stub until it is told to stop; then it holds on to the
// connections and forwards nothing, as a cut line does.
type proxy struct {
	addr string
	mu   sync.Mutex
	cut  bool
	down net.Listener
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	network, addr, _ := strings.Cut(to, ":")
	p := &proxy{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr, p.down = "tcp:"+l.Addr().String(), l
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			if p.isCut() {
				continue // taken and never answered
			}
			b, err := net.Dial(network, addr)
			if err != nil {
				a.Close()
				continue
			}
			go p.forward(a, b)
			go p.forward(b, a)
		}
	}()
	return p
}

func (p *proxy) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

func (p *proxy) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

func (p *proxy) forward(from, to net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		for p.isCut() {
			time.Sleep(time.Millisecond)
			if err != nil {
				return // and nobody is told
			}
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			to.Close()
			return
		}
	}
}

// Patience of these tests on a loaded machine: what is promised in
// milliseconds is measured by the kill tests of the command.
const soon = 10 * time.Second

// A stub of our own, for a VM that has none, leaves nothing behind.
func TestTemporaryStub(t *testing.T) {
	for _, running := range []bool{true, false} {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
		if !running {
			g.QMP(t, "stop", nil)
		}
		state := t.TempDir()
		ctx := context.Background()
		a, err := TemporaryStub(ctx, qmp.Monitor{Path: g.QMPPath}, Options{Command: Self(), State: state}, gdbstub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if found, known := a.FoundRunning(); !known || found != running || g.Running(t) {
			t.Errorf("found running %v, known %v; runs %v", found, known, g.Running(t))
		}
		socket := a.temp.socket()
		if st, err := os.Stat(filepath.Dir(socket)); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("the stub's folder: %v, %v", st, err)
		}
		if err := a.Insert(ctx, target.Breakpoint{Addr: g.sym["serve"]}); err != nil {
			t.Fatal(err)
		}
		if err := a.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if e := <-a.Events(); e.Kind != target.EventStopped || e.Stop.Reason != target.StopBreakpoint {
			t.Errorf("%+v", e)
		}
		bye, err := a.Leave(ctx)
		if err != nil || bye.Running != running {
			t.Errorf("%+v, %v", bye, err)
		}
		if n := g.stubs(t); n != 0 {
			t.Errorf("%d stubs left", n)
		}
		if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) {
			t.Errorf("the stub's folder is still there: %v", err)
		}
		g.mustBeAsFound(t, state, running, soon)
		g.Kill()
	}
}

// The same when the client is killed, at a breakpoint or running.
func TestTemporaryStubKilled(t *testing.T) {
	for _, o := range []order{{}, {Run: true}, {Break: []uint64{0}}, {Break: []uint64{0}, Run: true}} {
		for _, running := range []bool{true, false} {
			g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
			if !running {
				g.QMP(t, "stop", nil)
			}
			for i := range o.Break {
				o.Break[i] = g.sym["serve"]
			}
			o.TempMonitor = g.QMPPath
			c := start(t, o)
			c.kill()
			g.mustBeAsFound(t, c.state, running, soon)
			if n := g.stubs(t); n != 0 {
				t.Errorf("%d stubs left", n)
			}
			g.Kill()
		}
	}
}

// Only one client a monitor: nothing is changed behind the back of the other.
func TestMonitorInUse(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	held, err := net.Dial("unix", g.QMPPath)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	_, err = TemporaryStub(context.Background(), qmp.Monitor{Path: g.QMPPath}, Options{Command: Self(), State: state}, gdbstub.Options{})
	var busy *qmp.InUseError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	g.mustBeAsFound(t, state, true, soon)
}

// A line that is cut, its ends held open: with a monitor the guest is freed
// through it, and the VMM's own stub listens again.
func TestCutLinkMonitor(t *testing.T) {
	for _, accel := range []string{"", "kvm"} {
		opt := guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true, Accel: accel}
		if accel == "kvm" {
			f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
			if err != nil {
				t.Logf("without KVM: %v", err)
				continue
			}
			f.Close()
		}
		g := boot(t, opt)
		p := newProxy(t, g.GDBAddr())
		// One that is never hit: int3 ends the KVM of some build machines.
		c := start(t, order{Target: p.addr, Monitor: g.QMPPath, Break: []uint64{g.sym["fault_null"]}, Run: true})
		if accel == "kvm" && string(g.memory(t, g.at, len(g.text))) == string(g.text) {
			t.Error("no breakpoint in memory: this proves nothing")
		}
		p.setCut(true)
		c.kill()
		g.mustBeAsFound(t, c.state, true, soon)
		// The stub is where it was.
		spec, err := target.ParseSpec(g.GDBAddr())
		if err != nil {
			t.Fatal(err)
		}
		direct, err := gdbstub.Dial(context.Background(), spec, gdbstub.Options{})
		if err != nil {
			t.Fatalf("the VMM's own stub is gone: %v\n%s%+v", err, logs(c.state), findVMM(context.Background(), p.addr, g.QMPPath))
		}
		if _, err := direct.Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
		g.Kill()
	}
}

// Without a monitor the guest waits for the link to come back.
func TestCutLinkComesBack(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	p := newProxy(t, g.GDBAddr())
	c := start(t, order{Target: p.addr, Break: []uint64{g.sym["serve"]}})
	p.setCut(true)
	c.kill()
	time.Sleep(300 * time.Millisecond)
	if g.Running(t) {
		t.Fatal("by what way?")
	}
	p.setCut(false)
	g.mustBeAsFound(t, c.state, true, 2*soon)
}

// A guest whose VMM is gone is nobody's work.
func TestVanishedVMM(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), Break: []uint64{g.sym["serve"]}})
	g.Kill()
	c.kill()
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		if list, err := os.ReadDir(guardDir(c.state)); err == nil && len(list) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the guard does not give up\n%s", logs(c.state))
		}
	}
	text, err := os.ReadFile(filepath.Join(c.state, auditName))
	if err != nil || !strings.Contains(string(text), "the guest is gone") {
		t.Errorf("audit log: %s %v", text, err)
	}
}

// What somebody else did meanwhile stands.
func TestForeign(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), Run: true})
	g.QMP(t, "stop", nil)
	time.Sleep(50 * time.Millisecond)
	c.kill()
	g.mustBeAsFound(t, c.state, false, soon)

	// The same with a breakpoint, for which the guard has work to do.
	c = start(t, order{Target: g.GDBAddr(), Break: []uint64{g.sym["fault_null"]}, Run: true})
	g.QMP(t, "stop", nil)
	time.Sleep(50 * time.Millisecond)
	c.kill()
	g.mustBeAsFound(t, c.state, false, soon)

	// An operator who let it run is not undone either.
	c = start(t, order{Target: g.GDBAddr()})
	g.QMP(t, "cont", nil)
	time.Sleep(50 * time.Millisecond)
	c.kill()
	g.mustBeAsFound(t, c.state, true, soon)
}

// A stopped VM that both processes left behind, and the operator stopped one
// that ran: recover tells the two apart.
func TestRecoverTellsForeign(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	for _, tc := range []struct {
		o       order
		act     string // the operator's
		running bool
	}{
		{order{}, "", true},
		{order{Run: true}, "stop", false},
		{order{Run: true, Break: []uint64{g.sym["fault_null"]}}, "stop", false},
		{order{Run: true, Break: []uint64{g.sym["serve"]}}, "", true},
		{order{Break: []uint64{g.sym["serve"]}}, "cont", true},
	} {
		tc.o.Target = g.GDBAddr()
		c := start(t, tc.o)
		killBoth(t, c)
		if tc.o.Run && len(tc.o.Break) > 0 && tc.act == "" {
			for began := time.Now(); g.Running(t) && time.Since(began) < soon; time.Sleep(time.Millisecond) {
			} // it is hit
		}
		if tc.act != "" {
			g.QMP(t, tc.act, nil)
		}
		list := Recover(context.Background(), Options{State: c.state})
		if len(list) != 1 || list[0].Err != nil || !list[0].Known || list[0].Running != tc.running {
			t.Errorf("%+v: %+v", tc, list)
		}
		g.mustBeAsFound(t, c.state, tc.running, soon)
		if again := Recover(context.Background(), Options{State: c.state}); len(again) != 0 {
			t.Errorf("twice: %+v", again)
		}
	}
}

func killBoth(t *testing.T, c *client) {
	t.Helper()
	pid := 0
	for began := time.Now(); pid == 0 && time.Since(began) < soon; time.Sleep(time.Millisecond) {
		list, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range list {
			line, err := os.ReadFile(f)
			if err == nil && strings.HasPrefix(string(line), Name+"\x00"+guardDir(c.state)) {
				fmt.Sscanf(f, "/proc/%d/", &pid)
			}
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.kill()
}

// What was changed for the time of a session is put back, what a person set
// stays and is told.
func TestTemporaryWrites(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	at := g.sym["fault_null"] + 4 // text nobody runs
	for _, temporary := range []bool{true, false} {
		c := start(t, order{Target: g.GDBAddr(), Temporary: temporary, Write: map[uint64][]byte{at: {1, 2, 3}}})
		if got := g.memory(t, at, 3); string(got) != "\x01\x02\x03" {
			t.Fatalf("% x", got)
		}
		if temporary {
			c.kill()
			g.mustBeAsFound(t, c.state, true, soon)
			continue
		}
		killBoth(t, c)
		list := Recover(context.Background(), Options{State: c.state})
		if len(list) != 1 || list[0].Err != nil || !list[0].Running || !strings.Contains(list[0].String(), "3 bytes at") {
			t.Errorf("%v", list)
		}
		if got := g.memory(t, at, 3); string(got) != "\x01\x02\x03" {
			t.Errorf("% x", got)
		}
	}
}

// A folder that cannot be written is told before the guest is touched.
func TestNoStateFolder(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	spec, err := target.ParseSpec(g.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Attach(context.Background(), spec, Options{Command: Self(), State: "/dev/null/x"}, gdbstub.Options{})
	if err == nil || !strings.Contains(err.Error(), "XDG_STATE_HOME") {
		t.Errorf("%v", err)
	}
	if !g.Running(t) {
		t.Error("it was stopped")
	}
	for _, e := range g.Events() {
		if e.Name == "STOP" {
			t.Error("it was stopped once")
		}
	}
}

// Both processes die between the connection and the stub's first word. How the
// guest was then is told by when its processors last ran.
func TestKilledBeforeFirstWord(t *testing.T) {
	if _, ok := execStart("/proc/self/task/" + fmt.Sprint(os.Getpid())); !ok {
		t.Skip("not run: this kernel does not tell when a thread last ran")
	}
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	for _, running := range []bool{true, false, true, false} {
		if !running {
			g.QMP(t, "stop", nil)
			time.Sleep(100 * time.Millisecond)
		}
		state := t.TempDir()
		dir, err := newFolder(state)
		if err != nil {
			t.Fatal(err)
		}
		w, err := journal.Create(dir.journal(), journal.Begin{Spec: g.GDBAddr(), Client: journal.Process{PID: 1 << 30}, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(journal.Connecting{At: monotonic()}); err != nil {
			t.Fatal(err)
		}
		w.Close()
		conn, err := net.Dial("unix", strings.TrimPrefix(g.GDBAddr(), "unix:"))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		dir.lock.Close()
		for began := time.Now(); g.Running(t) && time.Since(began) < soon; time.Sleep(time.Millisecond) {
		} // QEMU takes a dead connection too, and stops the VM
		list := Recover(context.Background(), Options{State: state})
		if len(list) != 1 || list[0].Err != nil || list[0].Running != running {
			t.Errorf("found running %v: %+v", running, list)
		}
		g.mustBeAsFound(t, state, running, soon)
	}
}
