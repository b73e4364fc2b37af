package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// What a person at a terminal meets: prompt, completion, history, colours.
func TestTerminal(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	g.mustServe(t)
	state := guesttest.StateDir(t)
	args := []string{"attach", g.GDBAddr(), "-e", g.Debug}
	p := spawnTerminal(t, []string{"XDG_STATE_HOME=" + state}, args...)
	p.wait(t, "(ukdbg)")
	if !strings.Contains(p.output(), "\x1b[1m(ukdbg)") {
		t.Error("no colour on a terminal")
	}
	p.send(t, "print 6*") // typed text is shown
	p.wait(t, "print 6*")
	p.send(t, "7\r")
	p.wait(t, "$1 = 42")
	p.send(t, "info symbol queue_g\t")
	p.wait(t, "queue_get")
	p.send(t, "\r")
	p.wait(t, "queue_get in section .text")
	p.send(t, "disassem\t")
	p.wait(t, "disassemble")
	p.send(t, " queue_put\r")
	p.wait(t, "End of assembler dump.")
	p.send(t, "list request.c\t")
	p.wait(t, "request.c:")
	p.interruptPrompt(t)     // drops the line
	p.send(t, "print 8*8\r") // and is no first of two any more
	p.wait(t, "$2 = 64")
	p.interruptPrompt(t)
	p.send(t, "quit\r")
	if status := p.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	history, err := os.ReadFile(filepath.Join(state, "ukdbg", "history"))
	if err != nil || !strings.Contains(string(history), "print 6*7\n") {
		t.Errorf("history: %v: %q", err, history)
	}
	if st, err := os.Stat(filepath.Join(state, "ukdbg", "history")); err == nil && st.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the history: %v", st.Mode())
	}
	g.mustBeAsFound(t, true)

	p = spawnTerminal(t, []string{"XDG_STATE_HOME=" + state, "NO_COLOR=1"}, args...)
	p.wait(t, "(ukdbg) ")
	p.send(t, "\x10") // ^P, the line before
	p.wait(t, "quit")
	p.send(t, "\x10")
	p.wait(t, "print 8*8")
	p.send(t, "\r")
	p.wait(t, "$1 = 64")
	p.send(t, "bt\r")
	p.wait(t, "#0")
	p.send(t, "\x04")
	if status := p.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for _, code := range []string{"\x1b[1m", "\x1b[2m", "\x1b[31m"} {
		if strings.Contains(p.output(), code) {
			t.Errorf("NO_COLOR, and yet %q", code)
		}
	}
	g.mustBeAsFound(t, true)
}

// Piped, there is no prompt, no echo, no colour, and failures count.
func TestPiped(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-arm64", GDB: "tcp"})
	g.mustServe(t)
	for _, c := range []struct {
		typed  string
		status int
	}{{"print 6*7\nbt\n", 0}, {"juggle\nprint 6*7\n", 1}} {
		p := spawn(t, "attach", g.GDBAddr(), "-e", g.Debug)
		p.send(t, c.typed)
		p.in.Close()
		if status := p.exit(t); status != c.status {
			t.Errorf("%q: exit status %d, want %d", c.typed, status, c.status)
		}
		out := p.output()
		if !strings.Contains(out, "$1 = 42\n") || strings.Contains(out, "(ukdbg)") || strings.Contains(out, "\x1b") || strings.Contains(out, "print") {
			t.Errorf("piped:\n%q", out)
		}
		time.Sleep(20 * time.Millisecond)
		g.mustBeAsFound(t, true)
	}
}
