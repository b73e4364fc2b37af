package main

import (
	"debug/elf"
	"encoding/json"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/livevm"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// burnNames are the burner's functions, in the order of the guest's burn_time.
var burnNames = [3]string{"burn_60", "burn_30", "burn_10"}

// burnTime reads what the guest counted of itself, in nanoseconds and rounds, without
// a stop.
func burnTime(t *testing.T, vm *guesttest.VM) (out [3]float64, rounds float64) {
	t.Helper()
	f, err := elf.Open(vm.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	addr := map[string]uint64{}
	for _, s := range symbols {
		addr[s.Name] = s.Value
	}
	m, err := livevm.OpenMonitor(t.Context(), qmp.Monitor{Path: vm.QMPPath}, livevm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	read := func(at uint64) float64 {
		v, err := target.ReadUint(t.Context(), m, at, 8)
		if err != nil {
			t.Fatal(err)
		}
		return float64(v)
	}
	for i := range out {
		out[i] = read(addr["burn_time"] + 8*uint64(i))
	}
	return out, read(addr["burn_rounds"])
}

// Where samples can be true, the shares of three functions are those the guest
// counted of itself, within two points and three standard deviations, the rounds
// that were cut at either end, which it counts whole when they end, and the time in
// which the guest had to wait for a processor, which it counts and in which it cannot
// be stopped; by the monitor and over the stub. "make bench" does it with 6,000 samples.
func TestProfileAccuracy(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  guesttest.Options
		stub bool
		d    string // a KVM that emulates the guest's kernel takes a second for a round
	}{
		{"singlestep, monitor", guesttest.Options{Args: []string{"-singlestep"}}, false, "4s"},
		{"singlestep, stub", guesttest.Options{Args: []string{"-singlestep"}}, true, "4s"},
		{"KVM, monitor", guesttest.Options{Accel: "kvm"}, false, "12s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.opt.Accel == "kvm" {
				if runtime.GOARCH != "amd64" {
					t.Skip("not run: the guest is for x86_64")
				}
				guesttest.NeedKVM(t)
			}
			c.opt.Image, c.opt.GDB, c.opt.QMP, c.opt.Append = "ukguest-x86_64", "unix", true, "burn"
			vm := guesttest.Start(t, c.opt)
			for end := time.Now().Add(patience); !strings.Contains(vm.Console(), "heap"); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) && c.opt.Accel == "kvm" {
					t.Skipf("not run: the guest does not boot on this KVM; console: %q", vm.Console())
				} else if time.Now().After(end) {
					t.Fatalf("the guest does not boot: %q", vm.Console())
				}
			}
			at := "qmp:" + vm.QMPPath
			if c.stub {
				at = vm.GDBAddr()
			}
			var seen, counted [3]float64
			var all, total, rounds, busy float64
			var p struct {
				Samples  int64
				Warnings []string
				Top      []struct {
					Function string
					Flat     float64
				}
			}
			// Until there are enough to compare.
			for deadline := time.Now().Add(patience); all < 200; {
				if time.Now().After(deadline) {
					t.Fatalf("%v samples of the burner, it counted %v ns", all, total)
				}
				before, first := burnTime(t, vm)
				began := startWatch()
				out := mustVerb(t, "profile", at, "-e", vm.Debug, "-F", "400", "-d", c.d, "--pause-budget", "60%", "--json")
				p.Top, p.Warnings = nil, nil
				if err := json.Unmarshal([]byte(out), &p); err != nil {
					t.Fatal(err)
				}
				whole, spare := began.took()
				busy = max(busy, 1-spare.Seconds()/whole.Seconds())
				after, last := burnTime(t, vm)
				for i, name := range burnNames {
					for _, f := range p.Top {
						if f.Function == name {
							seen[i] += f.Flat
							all += f.Flat
						}
					}
					counted[i] += after[i] - before[i]
					total += after[i] - before[i]
				}
				rounds += last - first
				t.Logf("%v of %d samples; the guest counted %v ns in %.0f rounds; somebody waited for the machine in %.0f %% of the time", seen, p.Samples, counted, rounds, 100*busy)
				if c.opt.Accel == "kvm" && rounds < 5 {
					t.Skipf("not run: on this KVM the guest did %.0f rounds in %s", rounds, c.d)
				}
			}
			for i, name := range burnNames {
				want, got := counted[i]/total, seen[i]/all
				if limit := 0.02 + 3*math.Sqrt(want*(1-want)/all) + 1/rounds + 0.5*busy; math.Abs(got-want) > limit {
					t.Errorf("%s has %.1f %% of %.0f samples, the guest counted %.1f %%, want it within %.1f", name, 100*got, all, 100*want, 100*limit)
				}
			}
			for _, w := range p.Warnings {
				if strings.Contains(w, "TCG") {
					t.Errorf("samples are true here, and the profile warns: %s", w)
				}
			}
		})
	}
}
