package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestDumpWithLog: raw RAM has no registers; those of the fault screen in the
// console log put the crash back onto its stack.
func TestDumpWithLog(t *testing.T) {
	for _, tt := range []struct {
		image string
		base  uint64
	}{{"ukguest-x86_64", 0}, {"ukguest-arm64", 1 << 30}} {
		t.Run(tt.image, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: tt.image, Append: "fault=null", MemMiB: 32, Args: []string{"-no-shutdown"}})
			g.WaitConsole(t, "Unikraft halted", patience)
			g.QMP(t, "stop", nil)
			dir := t.TempDir()
			ram := filepath.Join(dir, "ram")
			g.QMP(t, "pmemsave", map[string]any{"val": tt.base, "size": 32 << 20, "filename": ram})
			log := write(t, dir, "console.log", []byte(g.Console()))
			out := mustVerb(t, "crash", "core:"+ram, "-e", g.Debug, "--base", fmt.Sprint(tt.base), "--log", log)
			for _, want := range []string{"page-fault", "in thread ", "fault_null"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
			// The same stack as the log tells by itself, and whole.
			stacks := mustVerb(t, "threads", "--stacks", ram, "-e", g.Debug, "--log", log)
			if strings.Contains(stacks, "whose registers are not known") {
				t.Errorf("what ran has no registers:\n%s", stacks)
			}
			// Without a word it is known for RAM too.
			if out := mustVerb(t, "crash", ram, "-e", g.Debug, "--log", log); !strings.Contains(out, "page-fault") {
				t.Errorf("not taken for RAM:\n%s", out)
			}
			if status, _, errs := verb(t, "", "threads", ram, "-e", g.Debug, "--log", g.Debug); status != exitUsage || !strings.Contains(errs, "no fault screen") {
				t.Errorf("a log without a fault: status %d, %s", status, errs)
			}
		})
	}
}

// TestAssertionWithLog: a failed assertion prints no registers. Its words are joined
// with a dump that has them, as --log and as the log in a bug bundle.
func TestAssertionWithLog(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, Append: "fault=assert", Args: []string{"-no-shutdown"}})
	g.WaitConsole(t, "Unikraft halted", patience)
	at, dir := "qmp:"+g.QMPPath, t.TempDir()
	dump, zip := filepath.Join(dir, "a.dump"), filepath.Join(dir, "a.zip")
	// Its own number of the line shows that it was this log that told.
	log := write(t, dir, "console.log", append([]byte(strings.Repeat("\n", 1000)), g.Console()...))
	mustVerb(t, "dump", at, "-e", g.Debug, "--minimal", "-o", dump)
	mustVerb(t, "report", at, "-e", g.Debug, "--console", log, "-o", zip)
	for _, words := range [][]string{{dump, "-e", g.Debug, "--log", log}, {zip, "-e", g.Debug}, {zip}} {
		out := mustVerb(t, append([]string{"crash"}, words...)...)
		if !strings.Contains(out, "assertion failed: ") || !strings.Contains(out, "told at line 10") || !strings.Contains(out, "#1 ") {
			t.Errorf("%q:\n%s", words, out)
		}
	}
	status, out, errs := verb(t, "", "crash", dump, "-e", g.Debug, "--log", write(t, dir, "empty.log", []byte("nothing\n")))
	if status != exitOK || !strings.Contains(out, "assert") || !strings.Contains(errs, "holds no report") {
		t.Errorf("a log without a report: status %d\n%s%s", status, out, errs)
	}
}
