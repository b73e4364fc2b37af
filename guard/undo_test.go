package guard

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/stubtest"
)

// A try that stops the guest and then fails is no reason for the next to take
// the stop for somebody else's.
func TestSecondTryKnowsTheFirst(t *testing.T) {
	s := stubtest.QEMU()
	first := true
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'D' && first {
			first = false
			return "none", true
		}
		return "", false
	}
	s.Listen(t)
	w, err := journal.Create(filepath.Join(t.TempDir(), "journal"), journal.Begin{Spec: s.Spec.String(), Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, r := range []journal.Record{
		journal.Connecting{},
		journal.Attached{QEMU: true, Found: journal.Running, LeaveRunning: true},
		journal.Resume{}, journal.Resumed{},
	} {
		if err := w.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	st := w.State()
	u := undoing{w: w, st: &st, logf: t.Logf}
	if rep := u.once(context.Background()); rep.Err == nil {
		t.Fatalf("the stub did not answer, and it is %v", rep)
	}
	if rep := u.once(context.Background()); rep.Err != nil || !rep.Running {
		t.Fatal(rep)
	}
	s.Do(func() {
		if !s.Running {
			t.Error("the guest is left stopped")
		}
	})
}
