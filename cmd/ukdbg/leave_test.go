package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// way is one way of leaving a guest that was stopped at a breakpoint once.
type way struct {
	name     string
	terminal bool
	args     []string // instead of a session
	unhit    bool     // without the breakpoint and its hit
	leave    func(t *testing.T, g *guest, p *process)
	status   int
}

// runOn lets the guest run under continue, with a breakpoint in it.
func runOn(commands string) func(t *testing.T, g *guest, p *process) {
	return func(t *testing.T, g *guest, p *process) {
		t.Helper()
		p.send(t, commands)
		p.wait(t, "Continuing.")
		g.mustRun(t, true)
		time.Sleep(50 * time.Millisecond)
	}
}

var (
	// The breakpoint is never hit: the guest runs all the time.
	runQuietly = runOn("delete\nbreak fault_null\ncontinue\n")
	// It is hit at each request, and its condition never holds.
	runHotly = runOn("condition 1 r->id == 1\ncontinue\n")
)

func ways(t *testing.T) []way {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	signals := func(before func(*testing.T, *guest, *process), list ...os.Signal) func(*testing.T, *guest, *process) {
		return func(t *testing.T, g *guest, p *process) {
			if before != nil {
				before(t, g, p)
			}
			if len(list) > 1 {
				// Until continue has ended, ^C is for it.
				p.send(t, "print 6*7\n")
				p.wait(t, "= 42")
			}
			for i, s := range list {
				if i > 0 {
					p.rests(t) // two pending signals are one
				}
				p.signal(t, s)
			}
		}
	}
	return []way{
		{name: "detach", leave: func(t *testing.T, g *guest, p *process) {
			p.send(t, "detach\n")
			p.wait(t, "memory as found")
			g.mustBeClean(t)
			p.send(t, "quit\n")
		}},
		{name: "quit", leave: func(t *testing.T, g *guest, p *process) { p.send(t, "quit\n") }},
		{name: "end of input", leave: func(t *testing.T, g *guest, p *process) { p.in.Close() }},
		{name: "^D", terminal: true, leave: func(t *testing.T, g *guest, p *process) { p.send(t, "\x04") }},
		{name: "^C twice", terminal: true, leave: func(t *testing.T, g *guest, p *process) {
			p.interruptPrompt(t)
			p.send(t, "\x03")
		}},
		{name: "SIGINT twice", leave: signals(nil, os.Interrupt, os.Interrupt)},
		{name: "SIGTERM", leave: signals(nil, syscall.SIGTERM)},
		{name: "SIGTERM at a terminal", terminal: true, leave: signals(nil, syscall.SIGTERM)},
		{name: "SIGTERM while the guest runs", leave: signals(runQuietly, syscall.SIGTERM)},
		{name: "SIGTERM while a breakpoint is hit all the time", leave: signals(runHotly, syscall.SIGTERM)},
		{name: "SIGTERM while stepping", leave: signals(func(t *testing.T, g *guest, p *process) {
			p.send(t, "next 100000\n")
			time.Sleep(300 * time.Millisecond)
		}, syscall.SIGTERM)},
		{name: "SIGHUP", leave: signals(nil, syscall.SIGHUP)},
		{name: "SIGHUP while the guest runs", leave: signals(runQuietly, syscall.SIGHUP)},
		{name: "terminal closed", terminal: true, leave: func(t *testing.T, g *guest, p *process) { p.hangUp() }, status: -2},
		{name: "stdout closed", leave: func(t *testing.T, g *guest, p *process) {
			p.hangUp()
			p.send(t, "bt\n")
		}, status: 1},
		{name: "batch", args: []string{"--batch", "--ex", "break serve", "--ex", "continue", "--ex", "bt"}},
		{name: "batch that failed", args: []string{"--batch", "-x", file("bad", "break serve\ncontinue\nprint no_such_thing\nbt\n")}, status: 1},
		{name: "SIGTERM in a batch", args: []string{"--batch", "--ex", "break fault_null", "--ex", "continue", "--ex", "bt"}, unhit: true,
			leave: func(t *testing.T, g *guest, p *process) {
				p.wait(t, "Continuing.")
				g.mustRun(t, true)
				p.signal(t, syscall.SIGTERM)
			}, status: 1},
		{name: "batch that quits", args: []string{"--batch", "-x", file("quits", "break serve\ncontinue\nquit\n")}},
	}
}

func testLeaving(t *testing.T, opt guesttest.Options, list []way) {
	t.Helper()
	var g *guest
	for _, running := range []bool{true, false} {
		found := map[bool]string{true: "running", false: "paused"}[running]
		for _, w := range list {
			if g == nil {
				g = boot(t, opt)
				g.mustServe(t)
			}
			ok := t.Run(found+"/"+w.name, func(t *testing.T) {
				if !running {
					g.pause(t, true)
				}
				args := append([]string{"attach", g.GDBAddr(), "-e", g.Debug, "--source-map", g.sources}, w.args...)
				var p *process
				if w.terminal {
					p = spawnTerminal(t, nil, args...)
				} else {
					p = spawn(t, args...)
				}
				switch {
				case w.unhit:
					w.leave(t, g, p)
				case w.args == nil:
					p.send(t, "break serve\ncontinue\n")
					p.wait(t, "Breakpoint 1, ")
					p.wait(t, "/server.c:9")
					p.wait(t, "\n9") // its source line, the last it says
					w.leave(t, g, p)
				}
				if status := p.exit(t); status != w.status && w.status != -2 {
					t.Errorf("exit status %d, want %d", status, w.status)
				}
				if t.Failed() {
					t.Logf("stdout:\n%s\nstderr:\n%s", p.output(), &p.errs)
				}
				g.mustBeAsFound(t, running)
			})
			if !ok {
				g.Kill() // what is in it now would fail the next ones
				g = nil
			}
		}
	}
}

// Leaving gives the guest back as it was found, in every way there is.
func TestLeaving(t *testing.T) {
	testLeaving(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"}, ways(t))
}

func pick(t *testing.T, names ...string) []way {
	t.Helper()
	var out []way
	for _, w := range ways(t) {
		for _, n := range names {
			if w.name == n {
				out = append(out, w)
			}
		}
	}
	if len(out) != len(names) {
		t.Fatalf("%d ways of %q", len(out), names)
	}
	return out
}

// Two processors, and the other architecture.
func TestLeavingARM64(t *testing.T) {
	testLeaving(t, guesttest.Options{Image: "ukguest-arm64", GDB: "unix", SMP: 2},
		pick(t, "detach", "^C twice", "SIGTERM while a breakpoint is hit all the time", "stdout closed", "batch"))
}

// Under KVM a breakpoint is a byte in the guest's memory. It is not hit here: a
// KVM that emulates ring 0 in software, as on the machines this runs on, ends
// in an internal error at int3.
func TestLeavingKVM(t *testing.T) {
	guesttest.NeedKVM(t)
	patched := func(s os.Signal, then string) func(t *testing.T, g *guest, p *process) {
		return func(t *testing.T, g *guest, p *process) {
			runQuietly(t, g, p)
			if bytes.Equal(g.code(t), g.text) {
				t.Error("no breakpoint in memory: this proves nothing")
			}
			p.signal(t, s)
			if then != "" {
				p.wait(t, "Interrupted.")
				p.send(t, then)
			}
		}
	}
	testLeaving(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", Accel: "kvm"}, []way{
		{name: "SIGTERM while the guest runs", unhit: true, leave: patched(syscall.SIGTERM, "")},
		{name: "^C and quit", unhit: true, leave: patched(os.Interrupt, "quit\n")},
	})
}

// ^C while the guest runs stops the guest; ukdbg stays.
func TestInterrupt(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	for _, terminal := range []bool{false, true} {
		var p *process
		if terminal {
			p = spawnTerminal(t, nil, "attach", g.GDBAddr(), "-e", g.Debug)
		} else {
			p = spawn(t, "attach", g.GDBAddr(), "-e", g.Debug)
		}
		for range 2 {
			p.send(t, "continue\n")
			p.wait(t, "Continuing.")
			g.mustRun(t, true)
			time.Sleep(50 * time.Millisecond)
			if terminal {
				p.send(t, "\x03")
			} else {
				p.signal(t, os.Interrupt)
			}
			p.wait(t, "Interrupted.")
			g.mustRun(t, false)
		}
		p.send(t, "print 6*7\n")
		p.wait(t, "= 42")
		p.send(t, "quit\n")
		if status := p.exit(t); status != 0 {
			t.Errorf("exit status %d; stderr %s", status, &p.errs)
		}
		if strings.Contains(p.output(), "no command") {
			t.Errorf("what was typed was torn:\n%s", p.output())
		}
		g.mustBeAsFound(t, true)
	}
}
