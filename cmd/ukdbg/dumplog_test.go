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
