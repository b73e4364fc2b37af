package faultmatrix

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
)

// TestJoin: a dump and a console log of the same death together say what the
// guest said and what the machine proves; a log of another death is left out.
func TestJoin(t *testing.T) {
	crash := cell{fault: "crash"}
	vm := start(t, crash, "arm64", "c")
	console := vm.WaitConsole(t, "Unikraft halted", patience)
	dump := filepath.Join(t.TempDir(), "dump")
	vm.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + dump})
	null := start(t, cell{fault: "null"}, "arm64", "c")
	other := null.WaitConsole(t, "Unikraft halted", patience)

	open(t, "core:"+dump, vm, func(ctx context.Context, s *ukdbg.Session) {
		rep, err := s.JoinFault(ctx, strings.NewReader(console))
		if err != nil {
			t.Fatal(err)
		}
		if f := rep.Fault; f.Kind != asserts.ExplicitCrash || !strings.HasPrefix(f.Reason, "Out of luck in request ") || f.Source.FirstLine == 0 ||
			len(rep.Functions) == 0 || rep.Functions[0] != "fault_crash" {
			t.Errorf("log and dump of one death:\n%s", rep.Text)
		}
		if rep, err = s.JoinFault(ctx, strings.NewReader(other)); err != nil {
			t.Fatal(err)
		}
		if f := rep.Fault; f.Kind != asserts.ExplicitCrash || !strings.Contains(rep.Text, "is of another fault: it is left out") || f.Address.Known {
			t.Errorf("the log of another death:\n%s", rep.Text)
		}
		if _, err := s.JoinFault(ctx, strings.NewReader("all is well\n")); err != ukdbg.ErrNoReport {
			t.Errorf("a log without a report: %v", err)
		}
	})
}
