//go:build linux

package guard

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// A guard that ends as soon as it is started is told at once, not waited for: an
// attachment whose stops have a cap waits for its guard to be awake.
func TestGuardThatEndsAtOnce(t *testing.T) {
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := newFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.remove()
	told := make(chan bool, 1)
	opt := Options{Command: []string{program}, MaxPause: 2 * time.Millisecond, Lost: func() { told <- true }}
	g, err := watch(opt, dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	// It returns because the guard is gone, not because its time was over.
	select {
	case <-g.gone:
	default:
		t.Error("it was waited for though it had ended")
	}
	select {
	case <-told:
	case <-time.After(soon):
		t.Error("nobody was told that the guard is lost")
	}
}

// TestLeaseIsGivenBack: a process that attaches again and again, as an agent does,
// keeps nothing of the attachments that are over.
func TestLeaseIsGivenBack(t *testing.T) {
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	held := func() (n int) {
		runtime.GC()
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.Contains(to, "ukdbg-lease") {
				n++
			}
		}
		return n + strings.Count(string(text), "ukdbg-lease")
	}
	before := held()
	for range 20 {
		dir, err := newFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		g, err := watch(Options{Command: []string{program}, HungAfter: time.Minute}, dir, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-g.gone
		dir.remove()
	}
	for end := time.Now().Add(soon); held() > before+1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors and mappings of leases are left, %d were there before", held(), before)
		}
	}
}

// FuzzTake: whatever the other end of the control socket says, the journal stays one that
// can be read, and holds what the client knows.
func FuzzTake(f *testing.F) {
	f.Add([]byte(`{"Guard":{"PID":7,"Start":123}}`))
	f.Add([]byte(`{"VMM":{"PID":8,"Start":9,"Comm":"qemu","Name":"a","UUID":"b","Monitors":[{"Path":"/m","Proto":"qmp"}],"GDB":["tcp::1234"]}}`))
	f.Add([]byte(`{"VMM":{"Name":"` + strings.Repeat("\xff", 30<<10) + `","PID":1}}`))
	f.Add([]byte(`{"Guard":{"PID":-1},"VMM":{}}`))
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 64<<10 {
			return
		}
		defer os.Remove(path)
		w, err := journal.Create(path, journal.Begin{Created: time.Unix(1, 0).UTC(), Verb: "attach"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		g := &watcher{w: w, up: make(chan struct{}), found: make(chan struct{})}
		g.take(p)
		g.take(p) // nothing is closed twice
		if err := w.Append(journal.Connecting{}); err != nil {
			t.Fatal(err)
		}
		kept, err := journal.Load(path)
		if st := w.State(); err != nil || kept.Torn || kept.Skipped != 0 || !kept.Connecting || fmt.Sprint(*kept) != fmt.Sprint(st) {
			t.Fatalf("%v: the journal has %+v, its writer %+v", err, kept, st)
		}
		select {
		case <-g.up:
		default:
			if kept.Guard != (journal.Process{}) {
				t.Error("it told of the guard, and nobody was told")
			}
		}
		select {
		case <-g.found:
		default:
			if kept.VMM.PID != 0 {
				t.Error("it told of the VMM, and nobody was told")
			}
		}
	})
}
