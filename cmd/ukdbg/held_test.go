package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// watched notes the state of the VM at each Write.
type watched struct {
	bytes.Buffer
	running func() bool
	stopped int
}

func (w *watched) Write(p []byte) (int, error) {
	if !w.running() {
		w.stopped++
	}
	return w.Buffer.Write(p)
}

// The answer of a verb goes out when the guest runs again: its reader may take any
// time.
func TestAnswerIsHeld(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	g.WaitConsole(t, "requests served", patience)
	for _, args := range [][]string{{"threads", "--stacks"}, {"heap"}, {"trace", "list"}} {
		out := &watched{running: func() bool { return g.Running(t) }}
		var errs bytes.Buffer
		e := env{in: strings.NewReader(""), out: out, err: &errs, getenv: func(string) string { return "" }}
		if status := run(t.Context(), e, append(args, g.GDBAddr(), "-e", g.Debug)); status != exitOK {
			t.Fatalf("%v: status %d: %s", args, status, &errs)
		}
		if out.Len() == 0 || out.stopped > 0 {
			t.Errorf("%v: %d bytes, %d writes while the guest stood still", args, out.Len(), out.stopped)
		}
	}
}

func TestHeldOutput(t *testing.T) {
	var b bytes.Buffer
	h := &heldOutput{to: &b}
	write := func(s string) {
		if n, err := h.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	write("a")
	h.hold()
	write("b")
	if b.String() != "a" {
		t.Errorf("held: %q", b.String())
	}
	write(strings.Repeat("c", maxHeld))
	if b.Len() != maxHeld+2 {
		t.Errorf("a long answer is kept back: %d bytes out", b.Len())
	}
	write("d")
	if err := h.release(); err != nil || b.Len() != maxHeld+3 {
		t.Errorf("%d bytes in all: %v", b.Len(), err)
	}
}
