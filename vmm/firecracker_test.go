package vmm

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A name may be a pipe by the time it is opened: nobody writes to it, and it is not
// waited for.
func TestOpenRegular(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		f, err := OpenRegular(fifo)
		if err == nil {
			f.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		if err == nil {
			t.Error("a pipe was opened")
		}
	case <-time.After(10 * time.Second):
		t.Error("a pipe is waited for")
	}
}
