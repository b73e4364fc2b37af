package unikraft_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

func openImage(t *testing.T, name string) *symbolizer.Image {
	t.Helper()
	b, err := images.Debug(name)
	if err != nil {
		t.Fatal(err)
	}
	img, err := symbolizer.OpenBytes(name+".dbg", b)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// The wait queues of the guest's variables are found by their types, with the
// names C gives them.
func TestWaitObjects(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		img := openImage(t, name)
		types, err := ctype.New(img)
		if err != nil {
			t.Fatal(err)
		}
		objects := unikraft.FromSymbolizer(img, types).WaitObjects()
		for _, want := range []struct{ kind, name string }{
			{"mutex", "cache.lock"}, {"mutex", "server.queue.lock"},
			{"semaphore", "server.queue.ready"}, {"semaphore", "disk.pending"},
		} {
			i := slices.IndexFunc(objects, func(o unikraft.WaitObject) bool { return o.Name == want.name })
			if i < 0 || objects[i].Kind != want.kind || (objects[i].Owner != 0) != (want.kind == "mutex") {
				t.Errorf("%s: %s %s is not among %+v", name, want.kind, want.name, objects)
			}
		}
	}
}

// nothing is a memory without a byte.
type nothing struct{}

func (nothing) ReadMemory(_ context.Context, _ []byte, addr uint64) (int, error) {
	return 0, &target.FaultError{Addr: addr}
}

// Without DWARF only symbols can be told, and the reason is named.
func TestNoDWARF(t *testing.T) {
	ctx := context.Background()
	k, err := unikraft.New(unikraft.Config{Image: unikraft.FromSymbolizer(openImage(t, "ukguest-x86_64"), nil), Memory: nothing{}})
	if err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() error{
		"threads": func() error { _, err := k.Threads(ctx); return err },
		"heap":    func() error { _, err := k.Heap(ctx); return err },
		"log":     func() error { _, err := k.Log(ctx); return err },
		"uptime":  func() error { _, err := k.Uptime(ctx); return err },
	} {
		if err := ask(); !errors.Is(err, kernel.ErrAbsent) || what != "uptime" && !strings.Contains(err.Error(), "DWARF") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := k.TraceBuffer(); err != nil {
		t.Errorf("trace buffer: %v", err)
	}
}

func TestNothingReadable(t *testing.T) {
	ctx := context.Background()
	img := openImage(t, "ukguest-x86_64")
	types, err := ctype.New(img)
	if err != nil {
		t.Fatal(err)
	}
	k, err := unikraft.New(unikraft.Config{Image: unikraft.FromSymbolizer(img, types), Memory: nothing{}})
	if err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() error{
		"threads": func() error { _, err := k.Threads(ctx); return err },
		"heap":    func() error { _, err := k.Heap(ctx); return err },
		"log":     func() error { _, err := k.Log(ctx); return err },
		"uptime":  func() error { _, err := k.Uptime(ctx); return err },
	} {
		var fault *target.FaultError
		if err := ask(); !errors.As(err, &fault) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
