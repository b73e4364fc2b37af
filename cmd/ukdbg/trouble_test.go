package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
)

// families are verbs of every kind that reach a guest: what each reads of it.
func families(t *testing.T, g *guest) [][]string {
	out := func() string { return filepath.Join(t.TempDir(), "out") }
	return [][]string{
		{"attach", "--batch", "--ex", "threads", "--ex", "bt all", "--ex", "heap", "--ex", "x/2000xb &server"},
		{"threads", "--stacks"},
		{"heap"},
		{"profile", "--duration", "1s", "-o", out()},
		{"trace", "record", "--for", "1s", "-o", out()},
		{"dump", "--minimal", "-o", out()},
		{"crash"},
	}
}

// name is what a family is called in a message.
func name(words []string) string {
	if words[0] == "trace" {
		return "trace " + words[1]
	}
	return words[0]
}

// result is how a verb ended.
type result struct {
	status    int
	out, errs string
	// whole is how long it took, spare what of it this machine was not too busy.
	whole, spare time.Duration
}

// mustTake wants a verb to have ended in so much time.
func (r result) mustTake(t *testing.T, what string, most time.Duration) {
	t.Helper()
	if whole, spare := r.whole, r.spare; spare > most+10*load() || whole > patience {
		t.Errorf("%s took %v, %v but for what it waited for this machine", what, whole, spare)
	}
}

// starved reports whether a verb was killed while others waited for this machine's
// processors for half of the time.
func (r result) starved() bool { return r.status == -1 && r.spare < r.whole/2 }

// runVerb runs the command as a process of its own, with a guard.
func runVerb(t *testing.T, state string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := startWatch()
	_ = cmd.Run() // its status is in ProcessState
	whole, spare := began.took()
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String(), whole, spare}
}

// mustSay wants a verb to have ended with a status and one line that says why.
func (r result) mustSay(t *testing.T, what string, status int, says string) {
	t.Helper()
	reason := ""
	for line := range strings.Lines(r.errs) {
		if strings.HasPrefix(line, "ukdbg: ") || strings.HasPrefix(line, "error: ") {
			reason += line
		}
	}
	if r.status != status || !regexp.MustCompile(says).MatchString(reason) || strings.Count(reason, "\n") != 1 {
		t.Errorf("%s: status %d after %v, want %d, and one line with %q\nsaid\n%sprinted\n%s", what, r.status, r.whole, status, says, r.errs, r.out)
	}
}

// route is a way to a stub on which something happens: once so many bytes came from
// the stub, or at any connection if 0.
type route struct {
	addr string
	mu   sync.Mutex
	act  func(l *route) // once
	left int
	held bool // nothing is forwarded any more, and nobody is told
	all  []net.Conn
}

// newRoute is a route to a stub on a unix socket.
func newRoute(t *testing.T, to string) *route {
	t.Helper()
	l := &route{}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close(); l.drop() })
	l.addr = "tcp:" + socket.Addr().String()
	go func() {
		for {
			a, err := socket.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("unix", strings.TrimPrefix(to, "unix:"))
			if err != nil {
				a.Close()
				continue
			}
			l.mu.Lock()
			l.all = append(l.all, a, b)
			l.mu.Unlock()
			go l.forward(a, b, false)
			go l.forward(b, a, true)
		}
	}()
	return l
}

func (l *route) forward(from, to net.Conn, counted bool) {
	buf := make([]byte, 1024)
	for {
		n, err := from.Read(buf)
		if counted {
			l.count(n)
		}
		l.mu.Lock()
		held := l.held
		l.mu.Unlock()
		if held {
			return // the connections stay
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

// count acts when it is time.
func (l *route) count(n int) {
	l.mu.Lock()
	l.left -= n
	act := l.act
	if l.left > 0 {
		act = nil
	}
	if act != nil {
		l.act = nil
	}
	l.mu.Unlock()
	if act != nil {
		act(l)
	}
}

// after has act happen once so many bytes came from the stub.
func (l *route) after(n int, act func(*route)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.left, l.act = false, n, act
}

// drop closes all connections, as a network that goes down and tells.
func (l *route) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		c.Close()
	}
	l.all = nil
}

// hold forwards nothing any more, as one that goes down and does not.
func (l *route) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// stop suspends the VMM, all of it.
func (g *guest) stop(t *testing.T) {
	if err := syscall.Kill(g.Pid(), syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.Pid()))
		if err != nil || bytes.Contains(stat, []byte(") T ")) {
			return
		}
	}
	t.Error("the VMM does not stand still")
}

// goOn ends that.
func (g *guest) goOn(t *testing.T) {
	if err := syscall.Kill(g.Pid(), syscall.SIGCONT); err != nil {
		t.Error(err)
	}
}

// mustBeBack waits until the guest runs as it was found, and nobody is at work on it
// any more: a guard that connects anew to undo what its client left stops it once more.
func (g *guest) mustBeBack(t *testing.T, what, state string, within time.Duration) {
	t.Helper()
	k := &killer{g: g, state: state, found: "running"}
	for began := startWatch(); !k.asFound(t) || len(k.guards()) > 0; time.Sleep(5 * time.Millisecond) {
		if began.over(within) {
			t.Fatalf("%s: the guest runs: %v, %d unfinished, guards %v\n%s", what, g.Running(t), k.unfinished(), k.guards(), k.logs())
		}
	}
	g.mustBeClean(t)
	g.mustServe(t)
}

// TestTroubleWithTheStub: what can happen to the stub and to the way there, before and
// in the middle of each kind of verb. Each is a line that says it, the status of a
// target that is not reached, and a guest as it was found.
func TestTroubleWithTheStub(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true})
	g.mustServe(t)
	l := newRoute(t, g.GDBAddr())
	for _, c := range []struct {
		name string
		at   string
		act  func(*route)
		says string
		back time.Duration
		few  bool
	}{
		{"the VMM hangs", g.GDBAddr(), nil, `has not taken the connection within|no answer`, 10 * time.Second, false},
		{"the VMM hangs in the middle", l.addr, func(*route) { g.stop(t) }, `no answer for 3s`, 15 * time.Second, false},
		{"the link is cut", l.addr, (*route).drop, `closed the connection|connection reset`, 5 * time.Second, false},
		{"the link is half open", l.addr, (*route).hold, `no answer for 3s`, 5 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, words := range families(t, g) {
				what := name(words)
				if c.few && words[0] != "attach" && words[0] != "profile" && words[0] != "trace" {
					continue // what the client sees is what it sees of a VMM that hangs
				}
				if c.act == nil {
					g.stop(t)
				} else {
					l.after(9000, c.act)
				}
				state := guesttest.StateDir(t)
				r := runVerb(t, state, append(words, c.at, "-e", g.Debug, "--monitor", g.QMPPath)...)
				g.goOn(t)
				g.mustBeBack(t, what, state, c.back)
				if k := (&killer{state: state}); r.starved() && strings.Contains(k.logs(), `"event":"guard"`) {
					// Its guard cannot tell one that gets no processor from one that hangs.
					t.Logf("%s: this machine is too busy: its guard ended it\n%s", what, k.logs())
				} else {
					r.mustSay(t, what, exitUnreachable, c.says)
				}
				r.mustTake(t, what, 10*time.Second)
				l.drop() // those that hung
			}
		})
	}
}

// TestTroubleWithTheMonitor: the same of a guest that is observed: its monitor hangs,
// is used by somebody else, is no more. Nobody stops the guest for it.
func TestTroubleWithTheMonitor(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	g.mustServe(t)
	held := fmt.Sprintf(`in use by %d \(%s\)`, os.Getpid(), `ukdbg.test|[^)]+`)
	for _, c := range []struct {
		name  string
		begin func(t *testing.T) (end func())
		says  string
	}{
		{"it hangs", func(t *testing.T) func() { g.stop(t); return func() { g.goOn(t) } }, `the monitor does not answer`},
		{"it is in use", func(t *testing.T) func() {
			in, out, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				done <- qmp.Monitor{Path: g.QMPPath}.Do(context.Background(), func(*qmp.Conn) error { close(in); <-out; return nil })
			}()
			<-in
			return func() {
				close(out)
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}, held},
	} {
		t.Run(c.name, func(t *testing.T) {
			end, state := c.begin(t), guesttest.StateDir(t)
			for _, words := range families(t, g) {
				r := runVerb(t, state, append(words, "qmp:"+g.QMPPath, "-e", g.Debug)...)
				r.mustSay(t, name(words), exitUnreachable, c.says)
				r.mustTake(t, name(words), 4*time.Second)
			}
			end()
			if n := g.stopped(); n != 0 {
				t.Errorf("the guest was stopped %d times", n)
			}
			g.mustBeBack(t, c.name, state, time.Second)
		})
	}
	// The process goes, and with it everything.
	pid, all := g.Pid(), families(t, g)
	g.Kill()
	for _, words := range all {
		for at, says := range map[string]string{
			"qmp:" + g.QMPPath:      `nobody listens there: its VMM has ended`,
			fmt.Sprint("pid:", pid): `has ended|no such process`,
		} {
			runVerb(t, guesttest.StateDir(t), append(words, at, "-e", g.Debug)...).mustSay(t, name(words)+" "+at, exitUnreachable, says)
		}
	}
}

// TestVMMGoesAway: the VMM ends in the middle of a verb.
func TestVMMGoesAway(t *testing.T) {
	for i := range 7 {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
		g.mustServe(t)
		words := families(t, g)[i]
		t.Run(name(words), func(t *testing.T) {
			l := newRoute(t, g.GDBAddr())
			l.after(9000, func(*route) { g.Kill() })
			state := guesttest.StateDir(t)
			r := runVerb(t, state, append(words, l.addr, "-e", g.Debug)...)
			r.mustSay(t, name(words), exitUnreachable, `closed the connection|has ended|connection reset`)
			r.mustTake(t, name(words), 5*time.Second)
		})
	}
}
