package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
)

// promise is how long a guest may take to be as it was found once ukdbg is
// dead: the guard's word, docs/guard.md.
const promise = 200 * time.Millisecond

// errand is something ukdbg does when it is killed.
type errand struct {
	name string
	args []string
	in   string // typed at once
	most time.Duration
	runs bool // it lets the guest run
}

// errands cover what touches a guest: attaching, breakpoints, stepping, reading
// much, traces.
func errands(g *guest) []errand {
	src := []string{"--source-map", g.sources}
	attach := func(name, in string, most time.Duration) errand {
		return errand{name, append([]string{"attach", g.GDBAddr(), "-e", g.Debug}, src...), in, most, name != "attach" && name != "read"}
	}
	return []errand{
		attach("attach", "", 60*time.Millisecond),
		attach("break", "break serve\ncontinue\ncontinue\ncontinue\ncontinue\n", 200*time.Millisecond),
		attach("condition", "break serve if r->id == 1\ncontinue\n", 300*time.Millisecond),
		attach("unhit", "break fault_null\ncontinue\n", 200*time.Millisecond),
		attach("watch", "watch server.stats.served\ncontinue\ncontinue\ncontinue\n", 300*time.Millisecond),
		attach("step", "step 1000\n", 300*time.Millisecond),
		attach("next", "break serve\ncontinue\nnext 1000\n", 300*time.Millisecond),
		attach("read", strings.Repeat("x/20000xb &server\n", 50), 300*time.Millisecond),
		{"threads", []string{"threads", g.GDBAddr(), "-e", g.Debug}, "", 40 * time.Millisecond, false},
		{"trace", []string{"trace", "list", g.GDBAddr(), "-e", g.Debug}, "", 60 * time.Millisecond, false},
		attach("mixed", "break serve\ncontinue\nstep\nbreak disk_wait\ncontinue\nstepi\nnext\nbt\ncontinue\nfinish\ncontinue\n", 300*time.Millisecond),
		{"record", []string{"trace", "record", g.GDBAddr(), "-e", g.Debug, "--for", "1s", "-o", outputFile}, "", 400 * time.Millisecond, false},
		{"dump", []string{"dump", g.GDBAddr(), "-e", g.Debug, "-o", outputFile}, "", 400 * time.Millisecond, false},
		{"capped", []string{"threads", g.GDBAddr(), "-e", g.Debug, "--stacks", "--max-pause", "2ms"}, "", 80 * time.Millisecond, false},
		{"profile", []string{"profile", g.GDBAddr(), "-e", g.Debug, "--duration", "1s", "-o", os.DevNull}, "", 400 * time.Millisecond, false},
	}
}

// outputFile stands for a file that is not there yet.
const outputFile = "OUTPUT"

// victim says who is killed.
type victim int

const (
	client victim = iota
	theGuard
	both
)

func (v victim) String() string { return [...]string{"ukdbg", "the guard", "both"}[v] }

// killer kills ukdbg at random moments on one guest, found in one run state.
type killer struct {
	g     *guest
	state string // XDG_STATE_HOME
	found string // running, paused or prelaunch
	rnd   *rand.Rand
	slow  time.Duration // the longest a guest took
	worst string        // doing what
	took  wayBack
	// recovered is what "ukdbg recover" said last.
	recovered string
}

// wayBack is how long guests took to be as they were found.
type wayBack []time.Duration

// String sums up: this is what "make soak" is run for.
func (w wayBack) String() string {
	if len(w) == 0 {
		return "no kills"
	}
	w = slices.Clone(w)
	slices.Sort(w)
	at := func(part float64) time.Duration { return w[int(part*float64(len(w)-1))].Round(100 * time.Microsecond) }
	late := 0
	for _, d := range w {
		if d > promise {
			late++
		}
	}
	return fmt.Sprintf("%d kills; the way back took %v (median), %v (90 %%), %v (99 %%), at most %v; %d took more than %v",
		len(w), at(0.5), at(0.9), at(0.99), at(1), late, promise)
}

// once runs an errand, kills at a random moment, and wants the guest as found.
func (k *killer) once(t *testing.T, e errand, v victim) {
	t.Helper()
	args := slices.Clone(e.args)
	if i := slices.Index(args, outputFile); i >= 0 {
		args[i] = filepath.Join(t.TempDir(), "recording")
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+k.state)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	moment := time.Duration(k.rnd.Int64N(int64(e.most)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte(e.in)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	time.Sleep(moment)
	guards := k.guards()
	// Without a guard nobody ends an errand that waits for ever.
	for v != client && len(guards) == 0 && len(ended) == 0 {
		guards = k.guards()
	}
	if v != client {
		for _, pid := range guards {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
	if v != theGuard {
		_ = cmd.Process.Kill() // it may have ended by itself
	}
	killed := startWatch()
	in.Close()
	what := fmt.Sprintf("%s, found %s, %v killed after %v", e.name, k.found, v, moment)
	select {
	case err = <-ended:
	case <-time.After(patience):
		running, logs := k.g.Running(t), k.logs()
		_ = cmd.Process.Signal(syscall.SIGQUIT) // it tells where it hangs
		err = <-ended
		t.Fatalf("%s: it does not end; guards %v, guest running %v, %v\n%s\n%s", what, guards, running, err, &out, logs)
	}
	k.recovered = ""
	if v == both {
		k.recover(t)
		killed = startWatch()
	}
	for !k.asFound(t) {
		if killed.over(promise) {
			d, _ := killed.took()
			t.Errorf("%s: not as found after %v: running %v, %d unfinished, guards %v\n%s\n%s%s", what, d, k.g.Running(t), k.unfinished(), guards, &out, k.recovered, k.logs())
			break
		}
		time.Sleep(time.Millisecond)
	}
	d, _ := killed.took()
	if d > k.slow {
		k.slow, k.worst = d, what
	}
	k.took = append(k.took, d)
	if v == theGuard && len(guards) > 0 && err != nil && !strings.Contains(out.String(), "guard process was killed") {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: ended with %v and said\n%s", what, err, &out)
		}
	}
	k.g.mustBeClean(t)
	// A guard that only tidies up is not the next round's.
	for deadline := time.Now().Add(patience); len(k.guards()) > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if k.found == "running" && !t.Failed() {
		k.mustGoOn(t, what)
	}
}

// mustGoOn waits for a sign of work after what was done. A guest under a KVM that
// emulates is slow.
func (k *killer) mustGoOn(t *testing.T, what string) {
	t.Helper()
	from, deadline := k.g.requests(t), time.Now().Add(patience)
	for k.g.requests(t) == from {
		if !k.g.Running(t) || time.Now().After(deadline) {
			registers := k.g.HMP(t, "info registers -a") // of two moments: does it loop, does it sleep
			console := k.g.Console()
			t.Fatalf("%s: the guest does not go on: %d requests served, running %v\n%s\n%s\n%s", what, from, k.g.Running(t),
				registers, k.g.HMP(t, "info registers -a"), console[max(0, len(console)-6000):])
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// asFound reports whether the VM runs or stands as it was found, and nobody is
// at work any more.
func (k *killer) asFound(t *testing.T) bool {
	t.Helper()
	if k.unfinished() != 0 {
		return false
	}
	if k.found == "prelaunch" {
		return strings.Contains(string(k.g.QMP(t, "query-status", nil)), `"prelaunch"`)
	}
	return k.g.Running(t) == (k.found == "running")
}

func (k *killer) dir() string { return filepath.Join(k.state, "ukdbg", "guard") }

// unfinished counts the attachments that touched a guest and have not left it.
func (k *killer) unfinished() (n int) {
	list, err := filepath.Glob(filepath.Join(k.dir(), "*", "journal"))
	if err != nil {
		return -1
	}
	for _, f := range list {
		if st, err := journal.Load(f); err == nil && st.Connecting && !st.Left || err != nil && !errors.Is(err, fs.ErrNotExist) {
			n++
		}
	}
	return n
}

// guards finds the guards of our state folder by their command lines.
func (k *killer) guards() (pids []int) {
	list, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range list {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && strings.HasPrefix(string(line), "ukdbg-guard\x00"+k.dir()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (k *killer) logs() string {
	var b strings.Builder
	list, _ := filepath.Glob(filepath.Join(k.dir(), "*", "log"))
	for _, f := range list {
		text, err := os.ReadFile(f)
		fmt.Fprintf(&b, "%s: %s %v\n", f, text, err)
	}
	list, _ = filepath.Glob(filepath.Join(k.dir(), "*", "journal"))
	for _, f := range list {
		st, err := journal.Load(f)
		fmt.Fprintf(&b, "%s: %+v %v\n", f, st, err)
	}
	// What is done leaves no folder, and its last line here.
	audit, err := os.ReadFile(filepath.Join(k.state, "ukdbg", "audit.log"))
	lines := strings.Split(strings.TrimSpace(string(audit)), "\n")
	fmt.Fprintf(&b, "%s %v\n", strings.Join(lines[max(0, len(lines)-4):], "\n"), err)
	return b.String()
}

func (k *killer) recover(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binary, "recover")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+k.state)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("recover: %v\n%s", err, text)
	}
	k.recovered = string(text)
}

// testKills kills rounds times on one guest, found in one state, and returns how
// long each way back took.
func testKills(t *testing.T, opt guesttest.Options, found string, rounds int, seed uint64, except ...string) wayBack {
	t.Helper()
	opt.Paused, opt.QMP = found == "prelaunch", true
	k := &killer{found: found, rnd: rand.New(rand.NewPCG(seed, soakSeed(t)))}
	crashes := 0
	before := loadAverage()
	for i := 0; i < rounds; i++ {
		if i = k.on(t, opt, i, rounds, except); t.Failed() {
			return k.took
		}
		if i < rounds {
			// QEMU 7.2 ends so now and then when a client of its stub is killed: its
			// own fault, which no debugger can mend, and seldom.
			crashes++
			t.Logf("round %d: QEMU itself ended by a segmentation fault", i)
			if crashes > 2 {
				t.Fatalf("QEMU ended %d times in %d rounds", crashes, i)
			}
		}
	}
	t.Logf("%v: %s; load average %.1f before, %.1f after", k.took, k.worst, before, loadAverage())
	return k.took
}

// on boots a guest and kills from round i on; it returns the round in which QEMU
// crashed, or rounds.
func (k *killer) on(t *testing.T, opt guesttest.Options, i, rounds int, except []string) int {
	t.Helper()
	g := boot(t, opt)
	g.PanicIfCrashed = true
	k.g, k.state = g, guesttest.StateDir(t)
	crashed := false
	defer pollMonitor(t, g.QMPPath, &crashed)()
	switch k.found {
	case "running":
		g.mustServe(t)
	case "paused":
		g.mustServe(t)
		g.pause(t, true)
	}
	all := errands(g)
	for ; i < rounds; i++ {
		e := all[k.rnd.IntN(len(all))]
		if slices.Contains(except, e.name) || k.found == "prelaunch" && e.runs { // what runs it ends the prelaunch
			e = all[0]
		}
		func() {
			defer func() {
				if r := recover(); r == guesttest.ErrCrashed {
					crashed = true
				} else if r != nil {
					panic(r)
				}
			}()
			k.once(t, e, victim(i%3))
		}()
		if crashed || t.Failed() {
			break
		}
	}
	return i
}

// pollMonitor asks the monitor for the VM's state once a second, connecting each
// time, as kraft does, until the function it returns is called. Nobody may make
// it wait, unless QEMU has crashed.
func pollMonitor(t *testing.T, path string, crashed *bool) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	var worst time.Duration
	var failed error
	polls := 0
	go func() {
		defer close(ended)
		for {
			began := startWatch()
			err := qmp.Monitor{Path: path}.Do(context.Background(), func(c *qmp.Conn) error {
				_, err := c.HMP(context.Background(), "info status")
				return err
			})
			d, _ := began.took()
			worst, polls = max(worst, d), polls+1
			if failed == nil && err != nil {
				failed = err
			} else if failed == nil && began.over(100*time.Millisecond) {
				failed = fmt.Errorf("it waited %v", d)
			}
			select {
			case <-done:
				return
			case <-time.After(time.Second):
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		if failed != nil && !*crashed {
			t.Errorf("a client that asks the monitor once a second: %v", failed)
		}
		t.Logf("%d questions to the monitor meanwhile, none waited longer than %v", polls, worst)
	}
}

// rounds scales the number of kills: UKDBG_SOAK is how many in all.
func rounds(t *testing.T, part int) int {
	text := os.Getenv("UKDBG_SOAK")
	if text == "" {
		return part
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("UKDBG_SOAK=%q is no number", text)
	}
	return max(1, part*n/50)
}

// soakSeed makes another run kill at other moments: UKDBG_SEED, 1 without it.
func soakSeed(t *testing.T) uint64 {
	text := os.Getenv("UKDBG_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("UKDBG_SEED=%q is no number", text)
	}
	return n
}

// TestKills is kill -9 of ukdbg, of its guard, of both, at random moments: 50 in
// all here, 1,000 in "make soak".
func TestKills(t *testing.T) {
	var all wayBack
	before := loadAverage()
	for _, c := range []struct {
		name  string
		opt   guesttest.Options
		found string
		part  int
		seed  uint64
	}{
		{"running", guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"}, "running", 18, 1},
		{"paused", guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"}, "paused", 12, 2},
		{"prelaunch", guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"}, "prelaunch", 6, 3},
		{"arm64", guesttest.Options{Image: "ukguest-arm64", GDB: "tcp", SMP: 2}, "running", 9, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			all = append(all, testKills(t, c.opt, c.found, rounds(t, c.part), c.seed)...)
		})
	}
	// Under KVM breakpoints are bytes in the guest's memory. None is hit here: the
	// KVM of the machines this runs on ends in an internal error at int3.
	t.Run("kvm", func(t *testing.T) {
		guesttest.NeedKVM(t)
		all = append(all, testKills(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", Accel: "kvm"}, "running", rounds(t, 5), 5,
			"break", "condition", "watch", "step", "next", "mixed", "profile", "capped")...)
	})
	t.Logf("in all %v; load average %.1f before, %.1f after", all, before, loadAverage())
}
