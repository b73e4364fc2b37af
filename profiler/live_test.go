package profiler_test

import (
	"context"
	"debug/elf"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// functions finds the ELF symbol of an address, which is all this test needs of
// a symbolizer.
type functions []elf.Symbol

func readFunctions(t testing.TB, path string) functions {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	var fs functions
	for _, s := range all {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			fs = append(fs, s)
		}
	}
	sort.Slice(fs, func(i, j int) bool { return fs[i].Value < fs[j].Value })
	return fs
}

func (fs functions) frames(addr uint64) []profiler.Frame {
	i := sort.Search(len(fs), func(i int) bool { return fs[i].Value > addr }) - 1
	if i < 0 || addr-fs[i].Value >= max(fs[i].Size, 1) {
		return nil
	}
	return []profiler.Frame{{Function: fs[i].Name}}
}

// framePointers walks the chain of saved frame pointers.
func framePointers(ctx context.Context, mem target.Memory, regs target.Regs) ([]profiler.Call, error) {
	calls := []profiler.Call{{Addr: regs.PC()}}
	for fp := regs.FP(); fp != 0 && len(calls) < 64; {
		next, err := target.ReadUint(ctx, mem, fp, 8)
		if err != nil {
			return calls, err
		}
		ret, err := target.ReadUint(ctx, mem, fp+8, 8)
		if err != nil || ret == 0 {
			return calls, err
		}
		calls = append(calls, profiler.Call{Addr: ret - 1})
		if next <= fp {
			break
		}
		fp = next
	}
	return calls, nil
}

// TestProfileOfLiveGuest samples the guest in QEMU over its stub, and compares
// the measured pauses with the ones QEMU's monitor reports.
func TestProfileOfLiveGuest(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			vm := guesttest.Start(t, guesttest.Options{Image: image, GDB: "unix", Append: "burn"})
			vm.WaitConsole(t, "up ", 30*time.Second)
			spec, err := target.ParseSpec(vm.GDBAddr())
			if err != nil {
				t.Fatal(err)
			}
			c, err := gdbstub.Dial(t.Context(), spec, gdbstub.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fs := readFunctions(t, vm.Debug)
			s := profiler.Sampler{Guest: profiler.Control(c), Machine: c, Unwind: framePointers, Symbolize: fs.frames}

			before, trips := len(vm.Events()), c.Stats().RoundTrips
			// Attaching has stopped it; the run leaves it stopped. The budget is wide
			// because a busy machine makes each stop dear.
			p, err := s.Run(t.Context(), profiler.Options{Rate: 99, Duration: 2 * time.Second, MaxPause: 0.5})
			if err != nil {
				t.Fatal(err)
			}
			if vm.Running(t) || p.Ended != "" {
				t.Errorf("ended %q, and a guest found stopped is left running: %v", p.Ended, vm.Running(t))
			}
			named, deep := 0, 0
			for _, sm := range p.Samples {
				if sm.Stack[0].Function != "" {
					named += int(sm.Count)
				}
				if len(sm.Stack) > 1 {
					deep += int(sm.Count)
				}
			}
			perSample := float64(c.Stats().RoundTrips-trips) / float64(max(p.Ticks, 1))
			t.Logf("%d samples, %d missed, stopped %.2f %%, longest %v, %.1f packets a sample", p.Ticks, p.Missed, 100*p.Share(), p.Pause.Longest, perSample)
			// The interrupt, registers, at most four pieces of stack, and going on.
			if perSample > 8 {
				t.Errorf("%.1f packets a sample", perSample)
			}
			if p.Ticks < 20 || named < p.Ticks*7/10 || deep < p.Ticks/2 {
				t.Errorf("%d samples of 198, %d with a function's name, %d with a caller", p.Ticks, named, deep)
			}

			// QEMU's own account: from the run's start to its end the guest was
			// stopped from each STOP to the RESUME after it.
			var stopped time.Duration
			var since time.Time
			for _, e := range vm.Events()[before:] {
				switch e.Name {
				case "STOP":
					since = e.Time()
				case "RESUME":
					if !since.IsZero() {
						stopped += e.Time().Sub(since)
					}
					since = time.Time{}
				}
			}
			t.Logf("stopped %v by QEMU's clock, %v by ours", stopped, p.Pause.Total)
			if diff := (p.Pause.Total - stopped).Abs(); diff > stopped/3+time.Duration(p.Pause.Stops)*500*time.Microsecond {
				t.Errorf("stopped %v by QEMU's clock, %v by ours", stopped, p.Pause.Total)
			}
			if _, err := c.Leave(t.Context()); err != nil || !vm.Running(t) {
				t.Errorf("leaving: guest running %v, error %v", vm.Running(t), err)
			}
		})
	}
}

// TestSharesOfLiveGuest: three functions of the guest do 60, 30 and 10 % of the
// burner's work. With -singlestep the emulator stops at every instruction, so
// that samples are true there.
func TestSharesOfLiveGuest(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", Append: "burn", Args: []string{"-singlestep"}})
	vm.WaitConsole(t, "up ", 60*time.Second)
	spec, err := target.ParseSpec(vm.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	c, err := gdbstub.Dial(t.Context(), spec, gdbstub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := profiler.Sampler{Guest: profiler.Control(c), Machine: c, Unwind: framePointers, Symbolize: readFunctions(t, vm.Debug).frames}
	p, err := s.Run(t.Context(), profiler.Options{Rate: 250, Duration: 3 * time.Second, MaxPause: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	var all int64
	for _, sm := range p.Samples {
		if name := sm.Stack[0].Function; name == "burn_60" || name == "burn_30" || name == "burn_10" {
			counts[name] += sm.Count
			all += sm.Count
		}
	}
	t.Logf("%v of %d samples", counts, p.Ticks)
	if all < 100 {
		t.Fatalf("%d samples of the burner in %d", all, p.Ticks)
	}
	for name, want := range map[string]float64{"burn_60": .6, "burn_30": .3, "burn_10": .1} {
		got := float64(counts[name]) / float64(all)
		if limit := 0.02 + 3*math.Sqrt(want*(1-want)/float64(all)); math.Abs(got-want) > limit {
			t.Errorf("%s has %.1f %% of %d samples, want %.0f %% within %.1f", name, 100*got, all, 100*want, 100*limit)
		}
	}
}

// TestOperatorStopsSampledGuest: who stops the guest through its monitor while it is
// sampled finds it stopped afterwards. An order that QEMU carries out inside a stop of
// ours does nothing there, and is told nobody: that one is lost. All others count.
func TestOperatorStopsSampledGuest(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", Append: "burn"})
	vm.WaitConsole(t, "up ", 30*time.Second)
	spec, err := target.ParseSpec(vm.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	kept, glimpses := 0, 0
	for i := range 10 {
		c, err := gdbstub.Dial(t.Context(), spec, gdbstub.Options{Found: gdbstub.RunRunning})
		if err != nil {
			t.Fatal(err)
		}
		vm.Running(t) // the events up to here are heard
		before, ours := countStops(vm), c.Stats().Stops
		operator := make(chan struct{})
		var told time.Time
		go func() {
			defer close(operator)
			time.Sleep(400*time.Millisecond + rand.N(50*time.Millisecond))
			vm.QMP(t, "stop", nil)
			told = time.Now()
		}()
		begin := time.Now()
		s := profiler.Sampler{Guest: profiler.Control(c), Machine: c, Unwind: framePointers}
		p, err := s.Run(t.Context(), profiler.Options{Rate: 99, Duration: 2 * time.Second, MaxPause: 1})
		<-operator
		if err != nil {
			t.Fatal(err)
		}
		running := vm.Running(t)
		stopped := countStops(vm) - before
		obeyed := stopped > c.Stats().Stops-ours
		t.Logf("%d: %d stops, %d of them ours, ended %q", i, stopped, c.Stats().Stops-ours, p.Ended)
		// Whose order was slow to come may have stopped it behind the last sample.
		sampled := told.Before(begin.Add(time.Second))
		if obeyed && (running || sampled && !strings.Contains(p.Ended, "somebody else")) {
			t.Errorf("%d: the operator's stop was undone: running %v, ended %q", i, running, p.Ended)
		}
		if _, err := c.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		if obeyed && vm.Running(t) {
			t.Errorf("%d: the operator's stop was undone by leaving", i)
		}
		if obeyed {
			kept++
		}
		if c.Stats().Flights < uint64(p.Ticks) {
			glimpses++
		}
		vm.QMP(t, "cont", nil)
	}
	if kept == 0 || glimpses == 0 {
		t.Errorf("%d stops that count, %d runs with stops that end by themselves", kept, glimpses)
	}
}

// countStops is how many stops the guest's monitor has told.
func countStops(vm *guesttest.VM) (n int) {
	for _, e := range vm.Events() {
		if e.Name == "STOP" {
			n++
		}
	}
	return n
}
