package unikraft

import (
	"context"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
)

func TestCurrentSlots(t *testing.T) {
	ctx := context.Background()
	for _, a := range arches {
		img := newImage(a)
		g := build(img, typical, 0)
		lcpus(g, a, 1, 0, 99)
		k := open(t, img, g)
		slots, err := k.CurrentSlots(ctx)
		if err != nil || len(slots) != 2 || slots[0] != 0x1018 || slots[1] != 0x1010 {
			t.Errorf("%s: %v %v", a.Name, slots, err)
		}
		list := list(t, k)
		id, name, err := k.ThreadAt(ctx, threadAddr(1))
		if err != nil || name != "ready" || id != byName(t, list, "ready").ID {
			t.Errorf("%s: %d %q %v", a.Name, id, name, err)
		}
		var fault *target.FaultError
		if _, _, err := k.ThreadAt(ctx, 0x99990000); !errors.As(err, &fault) {
			t.Errorf("%s: %v", a.Name, err)
		}
		img.without("uk_thread", "name")
		delete(img.symbols, "__uk_sched_thread_current")
		k = open(t, img, g)
		if _, _, err := k.ThreadAt(ctx, threadAddr(1)); !errors.Is(err, kernel.ErrAbsent) {
			t.Errorf("%s: %v", a.Name, err)
		}
		if _, err := k.CurrentSlots(ctx); !errors.Is(err, kernel.ErrAbsent) {
			t.Errorf("%s: %v", a.Name, err)
		}
	}
}
