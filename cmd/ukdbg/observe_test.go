package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// stopped counts how often QEMU says the guest was stopped, by whomever.
func (g *guest) stopped() (n int) {
	for _, e := range g.Events() {
		if e.Name == "STOP" {
			n++
		}
	}
	return n
}

// TestObservingVerbs runs every observing verb on a running guest, by its monitor
// and by its process. None stops it: a second monitor counts, and the guest's
// work goes on.
func TestObservingVerbs(t *testing.T) {
	for _, c := range []guesttest.Options{
		{Image: "ukguest-x86_64", QMP: true},
		{Image: "ukguest-arm64", QMP: true, SMP: 2, Args: []string{"-object", "memory-backend-memfd,id=m,size=64M,share=on", "-machine", "memory-backend=m"}},
	} {
		t.Run(c.Image, func(t *testing.T) {
			g := boot(t, c)
			g.WaitConsole(t, "requests served", patience)
			pid := fmt.Sprint("pid:", g.Pid())
			for _, at := range []string{"qmp:" + g.QMPPath, pid} {
				from := g.requests(t)
				verb := func(words ...string) string {
					return mustVerb(t, append(words, at, "-e", g.Debug)...)
				}
				out := verb("threads", "--stacks")
				for _, want := range []string{"main", "worker-1", "disk", "acceptor", "in acceptor_main at", "in worker_main at", "arch_wait_irq"} {
					if !strings.Contains(out, want) {
						t.Errorf("%s: no %q in the threads:\n%s", at, want, out)
					}
				}
				if c.SMP == 2 && !regexp.MustCompile(`on CPU 1 `).MatchString(out) {
					t.Errorf("%s: nothing on CPU 1:\n%s", at, out)
				}
				if out := verb("crash"); out != "no fault: the guest is in ordinary code\n" {
					t.Errorf("%s: crash of a guest that runs: %q", at, out)
				}
				if out := verb("heap"); !strings.Contains(out, "buddy") || strings.Contains(out, "CORRUPT") {
					t.Errorf("%s: heap:\n%s", at, out)
				}
				if out := verb("trace", "list", "--last", "20"); strings.Count(out, "\n") < 20 {
					t.Errorf("%s: trace:\n%s", at, out)
				}
				if out := verb("profile", "--duration", "300ms", "--top", "5"); !strings.Contains(out, "in 0 stops") {
					t.Errorf("%s: profile:\n%s", at, out)
				}
				out = mustVerb(t, "attach", at, "-e", g.Debug, "--source-map", g.sources, "--batch",
					"--ex", "info target", "--ex", "threads", "--ex", "bt all", "--ex", "thread acceptor", "--ex", "frame function acceptor_main",
					"--ex", "print server.stats.served", "--ex", "thread apply all bt 1", "--ex", "x/4i $pc", "--ex", "info registers", "--ex", "dmesg", "--ex", "heap",
					"--ex", "find &uk_trace_buffer, +65536, 0x64685254")
				for _, want := range []string{"never held", "0 stops", "acceptor_main", "$1 = ", "requests served"} {
					if !strings.Contains(out, want) {
						t.Errorf("%s: no %q in the session:\n%s", at, want, out)
					}
				}
				if all := regexp.MustCompile(`(?m)^Thread \d+ \([a-z0-9-]+\):$`).FindAllString(out, -1); len(all) < 7 {
					t.Errorf("%s: a command for all threads was run for %q only:\n%s", at, all, out)
				}
				if n := g.stopped(); n != 0 {
					t.Fatalf("%s: the guest was stopped %d times", at, n)
				}
				if now := g.requests(t); now <= from {
					t.Errorf("%s: %d requests served before and after", at, now)
				}
			}
			if now := string(g.code(t)); now != string(g.text) {
				t.Error("the guest's code was changed")
			}
		})
	}
}

// TestObservedIsTheSame: of a guest that stands still, what is seen without a
// stub is what its stub shows.
func TestObservedIsTheSame(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, GDB: "unix", SMP: 2})
	g.WaitConsole(t, "requests served", patience)
	g.QMP(t, "stop", nil)
	for _, words := range [][]string{{"threads", "--stacks"}, {"threads", "--json"}, {"heap"}, {"trace", "list"}, {"trace", "summary"}} {
		by := func(at string) string {
			out := mustVerb(t, append(append([]string(nil), words...), at, "-e", g.Debug)...)
			return strings.ReplaceAll(out, at, "TARGET")
		}
		stub, seen := by(g.GDBAddr()), by("qmp:"+g.QMPPath)
		if stub != seen {
			t.Errorf("%s:\nby the stub\n%s\nobserved\n%s", strings.Join(words, " "), stub, seen)
		}
	}
	if g.Running(t) {
		t.Error("the guest runs, and was paused when it was found")
	}
}

// TestObserveTrouble: each way observing can fail is a line that says what to do,
// with the status of a target that is not reached.
func TestObserveTrouble(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	g.WaitConsole(t, "requests served", patience)
	im, err := images.Find("ukguest-x86_64-cfi")
	if err != nil {
		t.Fatal(err)
	}
	_, wrong, err := im.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "3600")
	sleep.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleep.Process.Kill(); sleep.Wait() }()
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"no socket", []string{"threads", "qmp:/nowhere/qmp", "-e", g.Debug}, exitUnreachable, "no such socket"},
		{"no process", []string{"threads", "pid:4194303", "-e", g.Debug}, exitUnreachable, "has ended"},
		{"no VMM", []string{"threads", fmt.Sprint("pid:", sleep.Process.Pid), "-e", g.Debug}, exitMismatch, "in none of the process's mappings"},
		{"the wrong image", []string{"threads", "qmp:" + g.QMPPath, "-e", wrong}, exitMismatch, "--force"},
		{"the wrong image, in the process", []string{"threads", fmt.Sprint("pid:", g.Pid()), "-e", wrong}, exitMismatch, "--force"},
		{"bad number", []string{"threads", "pid:x", "-e", g.Debug}, exitUsage, "process"},
	} {
		status, _, stderr := verb(t, "", c.args...)
		if status != c.status || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: status %d, want %d\n%s", c.name, status, c.status, stderr)
		}
	}
	if n := g.stopped(); n != 0 {
		t.Errorf("the guest was stopped %d times", n)
	}
	// A VMM that does not answer, and one that goes away under a session.
	at := "qmp:" + g.QMPPath
	s := spawn(t, "attach", at, "-e", g.Debug)
	s.wait(t, "help for commands")
	if err := syscall.Kill(g.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := verb(t, "", "threads", at, "-e", g.Debug)
	if status != exitUnreachable || !strings.Contains(stderr, "does not answer") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("deaf: status %d\n%s", status, stderr)
	}
	if err := syscall.Kill(g.Pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	fmt.Fprintln(s.in, "threads")
	s.wait(t, "has ended")
	status, _, stderr = verb(t, "", "threads", at, "-e", g.Debug)
	if status != exitUnreachable || !strings.Contains(stderr, "its VMM has ended") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("gone: status %d\n%s", status, stderr)
	}
}
