package main

import (
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestWithoutImage: a guest whose image nobody has is looked at by addresses, by
// its stub and without a stop; what takes an image says so.
func TestWithoutImage(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, GDB: "unix"})
	g.WaitConsole(t, "requests served", patience)
	const none = "no image: give NAME.dbg with -e"
	for _, at := range []string{"qmp:" + g.QMPPath, g.GDBAddr()} {
		if out := mustVerb(t, "threads", at); !strings.Contains(out, "CPU 0") || !strings.Contains(out, none) {
			t.Errorf("%s: threads:\n%s", at, out)
		}
		// What was refused makes the status that of a failure.
		status, out, errs := verb(t, "", "attach", at, "--batch", "--ex", "threads", "--ex", "bt", "--ex", "info registers", "--ex", "info target", "--ex", "heap",
			"--ex", "interrupt", "--ex", "step", "--ex", "next", "--ex", "stepi", "--ex", "nexti")
		if status != exitFailed {
			t.Errorf("%s: status %d: %s", at, status, errs)
		}
		for _, want := range []string{"#0  0x", "rip ", "a step ends at another source line: " + none, "guest resumed"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in the session:\n%s", at, want, out)
			}
		}
		if !g.Running(t) {
			t.Fatalf("%s: the guest was left stopped", at)
		}
	}
}
