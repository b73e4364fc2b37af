package ukdbg

import (
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/internal/stubtest"
)

// A guest does not stand while its image is read from a slow disk. One that somebody
// else paused does, as before.
func TestImageReadSlowly(t *testing.T) {
	for _, running := range []bool{true, false} {
		stub := stubtest.QEMU()
		stub.Running = running
		stub.Listen(t)
		found := gdbstub.RunPaused
		if running {
			found = gdbstub.RunRunning
		}
		a, err := guard.Attach(t.Context(), stub.Spec, guard.Options{}, gdbstub.Options{Found: found})
		if err != nil {
			t.Fatal(err)
		}
		s := &Session{live: a, machine: newProcessors(a), stacks: map[threadKey]stack{}}
		stands := func() (yes bool) {
			stub.Do(func() { yes = !stub.Running })
			return yes
		}
		if !stands() {
			t.Fatal("it was not stopped")
		}
		read := make(chan struct{})
		done := make(chan error, 1)
		go func() { done <- s.awaitImage(t.Context(), read) }()
		for deadline := time.Now().Add(5 * time.Second); running && stands(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it stands while the image is read")
			}
		}
		time.Sleep(2 * imagePatience)
		if stands() == running {
			t.Errorf("found running %v, it stands: %v", running, stands())
		}
		close(read)
		if err := <-done; err != nil || !stands() {
			t.Errorf("%v; it stands: %v", err, stands())
		}
		if bye, err := a.Leave(t.Context()); err != nil || bye.Running != running {
			t.Errorf("%+v, %v", bye, err)
		}
	}
	// One that is read at once costs nothing.
	stub := stubtest.QEMU()
	stub.Running = true
	stub.Listen(t)
	a, err := guard.Attach(t.Context(), stub.Spec, guard.Options{}, gdbstub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	close(read)
	if err := (&Session{live: a, machine: newProcessors(a)}).awaitImage(t.Context(), read); err != nil || a.Stats().Stops != 1 {
		t.Errorf("%v, %+v", err, a.Stats())
	}
	if _, err := a.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}
