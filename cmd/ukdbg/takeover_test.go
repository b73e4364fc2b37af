package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestTakeOver: an observing session breaks, steps and changes memory by a stub
// opened for the time, goes back to observing, and leaves no stub, no breakpoint
// and no stop behind. The monitor is free in between.
func TestTakeOver(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: image, QMP: true})
			g.WaitConsole(t, "requests served", patience)
			at := "qmp:" + g.QMPPath
			out := mustVerb(t, "attach", at, "-e", g.Debug, "--source-map", g.sources, "--batch",
				"--ex", "threads", "--ex", "break serve", "--ex", "continue", "--ex", "next", "--ex", "bt", "--ex", "delete",
				"--ex", "set var server.stats.served = 7000000", "--ex", "observe", "--ex", "print server.stats.served", "--ex", "thread worker-1",
				"--ex", "interrupt", "--ex", "info target", "--ex", "observe", "--ex", "heap")
			for _, want := range []string{"by a stub opened for the time", "Breakpoint 1, serve", "guest resumed", "and is observed", "buddy"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if !regexp.MustCompile(`\$1 = 70000\d\d`).MatchString(out) {
				t.Errorf("the counter that was set does not count on:\n%s", out)
			}
			// The threads keep their numbers on both machines.
			if strings.Count(out, "[Switching to thread 2 (worker-1)]") < 1 {
				t.Errorf("worker-1 is not thread 2 any more:\n%s", out)
			}
			g.mustServe(t)
			if string(g.code(t)) != string(g.text) {
				t.Error("the guest's code was changed")
			}
			// The two sockets are the guest's monitors.
			if devices := g.HMP(t, "info chardev"); strings.Count(devices, "unix:") != 2 {
				t.Errorf("a stub is left: %s", devices)
			}
			// Somebody else's pause stays.
			g.QMP(t, "stop", nil)
			mustVerb(t, "attach", at, "-e", g.Debug, "--batch", "--ex", "interrupt", "--ex", "bt", "--ex", "observe", "--ex", "threads")
			mustVerb(t, "attach", at, "-e", g.Debug, "--batch", "--ex", "interrupt", "--ex", "bt")
			if g.Running(t) {
				t.Error("the guest runs, and was paused when it was found")
			}
			for _, verb := range [][]string{{"profile", "-d", "200ms"}, {"profile", "wall", "-d", "200ms"}, {"top", "-n", "1", "-d", "200ms"}} {
				if out := mustVerb(t, append(verb, at, "-e", g.Debug)...); !regexp.MustCompile(`the VM is paused[a-z() ]*: `).MatchString(out) {
					t.Errorf("%q does not tell that nothing runs:\n%s", verb, out)
				}
			}
		})
	}
}
