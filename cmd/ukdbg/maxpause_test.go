package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

var capText = regexp.MustCompile(`of the (\S+) allowed at most ([0-9.]+ \S+) used, ([0-9.]+ \S+) with the VMM's time`)

// milliseconds reads what a person is told.
func readDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatalf("%q is no duration: %v", text, err)
	}
	return d
}

// Every verb that stops a guest behind a stub keeps each stop within --max-pause,
// and tells how far it did: what it says is not less than what QEMU's clock shows.
func TestMaxPause(t *testing.T) {
	for _, o := range []guesttest.Options{
		{Image: "ukguest-x86_64", GDB: "unix", QMP: true},
		{Image: "ukguest-arm64", GDB: "tcp", QMP: true, SMP: 2},
	} {
		g := boot(t, o)
		g.mustServe(t)
		for _, words := range [][]string{
			{"threads", "--stacks"},
			{"heap"},
			{"trace", "list"},
			{"profile", "--duration", "500ms"},
			{"attach", "--read-only", "--batch", "--ex", "bt all", "--ex", "info target"},
		} {
			const most, tick = 5 * time.Millisecond, 4 * time.Millisecond // that of the kernel
			from, short := len(g.Events()), guesttest.Shortage()
			args := append(append([]string(nil), words...), g.GDBAddr(), "-e", g.Debug, "--max-pause", most.String())
			status, stdout, stderr := verb(t, "", args...)
			busy := load() + guesttest.Shortage() - short
			if status != exitOK {
				if strings.Contains(stdout+stderr, "--max-pause") && busy > tick {
					t.Logf("%s: this host is too busy: %s%s", words[0], stdout, stderr)
					continue // refused rather than broken
				}
				t.Fatalf("%v: status %d\n%s%s", words, status, stdout, stderr)
			}
			m := capText.FindStringSubmatch(stdout + stderr)
			if m == nil || m[1] != most.String() {
				t.Fatalf("%v: nothing told of the cap\n%s%s", words, stdout, stderr)
			}
			own, all := readDuration(t, m[2]), readDuration(t, m[3])
			var longest time.Duration
			list := g.Pauses(from)
			for _, d := range list {
				longest = max(longest, d)
			}
			if len(list) == 0 || longest > all+time.Millisecond {
				t.Errorf("%v: QEMU tells of %d stops, the longest %v; we of %v", words, len(list), longest, all)
			}
			// On an idle host too QEMU, or we, may have to wait for a processor.
			if late := max(busy, 2*tick); own > most+late || longest > most+late {
				t.Errorf("%v: %v allowed, %v used by us, %v by QEMU's clock", words, most, own, longest)
			}
			t.Logf("%s %v: %d stops, the longest %v; said %s", o.Image, words, len(list), longest, m[0])
			g.mustServe(t)
		}
		g.mustBeClean(t)
	}
}

// The budget holds over the whole of a verb, by QEMU's clock.
func TestPauseBudget(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true})
	g.mustServe(t)
	for _, words := range [][]string{
		{"threads", "--stacks", "--pause-budget", "2%"},
		{"profile", "--duration", "2s", "--pause-budget", "2%"},
	} {
		from, began := len(g.Events()), startWatch()
		mustVerb(t, append(append([]string(nil), words...), g.GDBAddr(), "-e", g.Debug)...)
		took, spare := began.took()
		var all, longest time.Duration
		for _, d := range g.Pauses(from) {
			all, longest = all+d, max(longest, d)
		}
		// The attachment's own stop, at the beginning, has not been earned yet, and QEMU
		// may have to wait for a processor to let the guest run.
		if share := float64(all-longest-(took-spare)) / float64(took); share > 0.02 {
			t.Errorf("%v: stopped %v of %v (%.1f %%), the longest %v", words, all, took, 100*share, longest)
		}
		t.Logf("%v: stopped %v of %v", words, all, took)
	}
}

// What cannot keep a promise refuses it.
func TestCapsRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"attach", "unix:/nowhere", "--max-pause", "2ms"}, "need --read-only"},
		{[]string{"attach", "unix:/nowhere", "--pause-budget", "1%"}, "need --read-only"},
		{[]string{"trace", "record", "unix:/nowhere", "-o", filepath.Join(t.TempDir(), "r"), "--max-pause", "2ms"}, "are not for it"},
		{[]string{"threads", "unix:/nowhere", "--max-pause", "-1s"}, "above 0"},
		{[]string{"threads", "unix:/nowhere", "--hung-after", "-1s"}, "above 0"},
		{[]string{"threads", "unix:/nowhere", "--pause-budget", "120%"}, "part of the time"},
	} {
		status, _, stderr := verb(t, "", c.args...)
		if status != exitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: status %d, %s", c.args, status, stderr)
		}
	}
}

// Whatever would change, stop or resume the guest is refused in one line at a
// read-only prompt, and the guest never knows.
func TestReadOnlyRefusals(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true})
	g.mustServe(t)
	for _, at := range []string{g.GDBAddr(), "qmp:" + g.QMPPath} {
		from := len(g.Events())
		for _, line := range []string{
			"set var server.stats.served = 7", "set $rax = 1", "break serve", "tbreak serve", "watch server.stats.served",
			"step", "next", "stepi", "continue", "finish", "interrupt",
		} {
			status, stdout, stderr := verb(t, "", "attach", at, "-e", g.Debug, "--read-only", "--batch", "--ex", line)
			text := stdout + stderr
			if status != exitFailed || !strings.Contains(text, "read-only") {
				t.Errorf("%s: %q: status %d\n%s", at, line, status, text)
			}
		}
		if at[:4] == "qmp:" && len(g.Pauses(from)) != 0 {
			t.Errorf("%s: the guest was stopped %d times", at, len(g.Pauses(from)))
		}
		g.mustBeAsFound(t, true)
	}
	// One that somebody paused is read, and not let run.
	g.pause(t, true)
	status, stdout, stderr := verb(t, "", "attach", g.GDBAddr(), "-e", g.Debug, "--read-only", "--batch", "--ex", "bt", "--ex", "continue")
	if status != exitFailed || !strings.Contains(stdout+stderr, "read-only") || !strings.Contains(stdout, "#0") {
		t.Errorf("paused: status %d\n%s%s", status, stdout, stderr)
	}
	g.mustBeAsFound(t, false)
}
