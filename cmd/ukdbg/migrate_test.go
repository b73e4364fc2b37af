package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestStatesOfMigration: a VM that waits for its state, or has given it away, is left
// as that, by its stub and by one opened for the time.
func TestStatesOfMigration(t *testing.T) {
	for _, c := range []struct {
		state string
		args  []string
	}{
		{"inmigrate", []string{"-incoming", "defer"}},
		{"postmigrate", nil},
	} {
		t.Run(c.state, func(t *testing.T) {
			for _, gdb := range []string{"unix", ""} {
				g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, GDB: gdb, Args: c.args})
				state := func() string {
					var s struct{ Status string }
					if err := json.Unmarshal(g.QMP(t, "query-status", nil), &s); err != nil {
						t.Fatal(err)
					}
					return s.Status
				}
				if c.state == "postmigrate" {
					g.WaitConsole(t, "requests served", patience)
					g.QMP(t, "migrate", map[string]string{"uri": "exec:cat >/dev/null"})
				}
				for end := time.Now().Add(patience); state() != c.state; time.Sleep(20 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("the VM is %s", state())
					}
				}
				at := g.GDBAddr()
				if gdb == "" {
					at = "qmp:" + g.QMPPath
				}
				// Memory that has not come yet is no image's.
				_, out, errs := verb(t, "", "attach", at, "-e", g.Debug, "--force", "--batch", "--ex", "interrupt", "--ex", "break serve", "--ex", "info registers")
				if !strings.Contains(out, "Breakpoint 1") || !strings.Contains(out, "guest left paused, as it was found") {
					t.Errorf("%s: %s%s", at, out, errs)
				}
				if now := state(); now != c.state {
					t.Errorf("%s: it was %s, and is %s", at, c.state, now)
				}
			}
		})
	}
}
