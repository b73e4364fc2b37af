package gdbdiff

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// busy are guests that do all they can, for stops at random moments.
var busy = []variant{
	{image: "ukguest-x86_64", append: "rate=1000 burn"},
	{image: "ukguest-x86_64-nofp", append: "rate=1000 burn", smp: 2},
	{image: "ukguest-x86_64-cfi", append: "rate=1000 burn"},
	{image: "ukguest-arm64", append: "rate=1000 burn"},
	{image: "ukguest-arm64-nofp", append: "rate=1000 burn", smp: 2},
	{image: "ukguest-arm64-cfi", append: "rate=1000 burn"},
}

// stopsInAll is how often all guests together are stopped: 50 times, or as often as
// the environment says ("make soak").
func stopsInAll(t *testing.T) int {
	t.Helper()
	text := os.Getenv("UKDBG_STOPS")
	if text == "" {
		return 50
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < len(busy) {
		t.Fatalf("UKDBG_STOPS=%q: want a number, %d at least", text, len(busy))
	}
	return n
}

// TestRandomStops stops guests at random moments: every frame of every thread, and
// the variables of each, must be those of gdb.
func TestRandomStops(t *testing.T) {
	total := stopsInAll(t)
	for i, v := range busy {
		stops := total*(i+1)/len(busy) - total*i/len(busy)
		t.Run(v.name(), func(t *testing.T) {
			t.Parallel()
			v.randomStops(t, stops)
		})
	}
}

// badStops end a guest's test: one fault shows itself again and again.
const badStops = 3

func (v variant) randomStops(t *testing.T, stops int) {
	vm := guesttest.Start(t, guesttest.Options{Image: v.image, Append: v.append, SMP: v.smp, GDB: "unix"})
	g := startGDB(t, vm.Image.Arch, vm.Debug, v.slide)
	f := askFacts(t, g)
	vm.WaitConsole(t, "requests served", time.Minute)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	bad, threads, frames, innermost := 0, 0, 0, map[uint64]bool{}
	for n := range stops {
		s := &stopped{layout: layouts[vm.Image.Arch], gdb: g, debug: vm.Debug, arch: vm.Image.Arch, quiet: true}
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Microsecond)
		s.settle(t, vm)
		s.dump.unmap(0)
		s.threads = walk(t, s.dump, s.layout, g, f)
		s.attach(t, vm)
		ok := t.Run(fmt.Sprintf("stop %d", n+1), func(t *testing.T) {
			s.compareFrames(t)
			s.compareVariables(t)
		})
		s.leave(t, vm)
		if err := os.RemoveAll(s.dump.dir); err != nil {
			t.Fatal(err)
		}
		g.core = ""
		vm.QMP(t, "cont", nil)
		threads += len(s.threads)
		frames += len(s.frames)
		for _, f := range s.frames {
			if f.ours.Level == 0 {
				innermost[f.ours.PC] = true
			}
		}
		if !ok {
			if bad++; bad == badStops {
				t.Fatalf("given up after %d of %d stops, at %d of which gdb said something else", n+1, stops, bad)
			}
		}
	}
	t.Logf("%d stops, %d threads, %d frames with what they hold are gdb's; %d different innermost addresses", stops, threads, frames, len(innermost))
	if len(innermost) < min(stops, 10)/2 || frames < stops*10 {
		t.Error("the stops were not at random, or too little was compared")
	}
}
