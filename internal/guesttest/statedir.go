package guesttest

import (
	"os"
	"testing"
	"time"
)

// StateDir makes a folder for what guards keep. Unlike t.TempDir's it may be written to
// when the test has ended: a guard outlives its client, and its last words are to be
// heard, not to fail the test. Its very last, a line of the audit log, may make the
// folder anew.
func StateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ukdbg-state")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := os.RemoveAll(dir)
		for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); err = os.RemoveAll(dir) {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("somebody keeps writing to the state folder: %v", err)
		}
	})
	return dir
}
