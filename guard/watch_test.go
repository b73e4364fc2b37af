//go:build linux

package guard

import (
	"os/exec"
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
