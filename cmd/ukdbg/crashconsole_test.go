package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestCrashConsoleFile: a guest without a ring, whose VMM writes the serial port to a
// file of this host, is explained with the words in that file, as long as they are of
// the fault the machine shows.
func TestCrashConsoleFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "serial.log")
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", Append: "fault=assert after=5", Args: []string{"-serial", "file:" + log}})
	console := g.WaitConsole(t, "Unikraft halted", patience)
	mustVerb(t, "attach", g.GDBAddr(), "-e", g.Debug, "--batch", "--ex", "set var uk_console_ring = 0")
	const words = "assertion: assertion failed: "
	crash := func(args ...string) (out, errs string) {
		t.Helper()
		status, out, errs := verb(t, "", append([]string{"crash", g.GDBAddr(), "-e", g.Debug}, args...)...)
		if status != exitOK {
			t.Fatalf("status %d: %s%s", status, out, errs)
		}
		return out, errs
	}
	if out, errs := crash(); !strings.HasPrefix(out, "explicit-crash: ") || strings.Contains(errs, "console") {
		t.Fatalf("nothing told the words yet: %s%s", out, errs)
	}
	if err := os.WriteFile(log, []byte(console), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, errs := crash(); !strings.HasPrefix(out, words) || !strings.Contains(out, "worker_main") || !strings.Contains(errs, log) {
		t.Errorf("with the console's file: %s%s", out, errs)
	}
	if out, errs := crash("--no-console"); strings.Contains(out, words) || strings.Contains(errs, log) {
		t.Errorf("without what it says: %s%s", out, errs)
	}
	if err := os.WriteFile(log, []byte(strings.ReplaceAll(console, "worker-", "another-")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := crash(); strings.Contains(out, words) {
		t.Errorf("with the console's file of another fault: %s", out)
	}
}
