//go:build linux

package guard

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
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
	case <-time.After(10 * time.Second):
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
	for end := time.Now().Add(10 * time.Second); held() > before+1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors and mappings of leases are left, %d were there before", held(), before)
		}
	}
}
