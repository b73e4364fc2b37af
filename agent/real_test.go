package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// all keeps every span.
func all(c *config.Config) {
	c.Traces.Keep, c.Traces.SpansPerSecond, c.Traces.Every = 1, 1e6, 100*time.Millisecond
	c.Profile.Every, c.Profile.Duration = 3*time.Second, time.Second
}

// A real guest is sampled and its rings are read without a stop; somebody else's pause
// leaves a hole in the times of its spans, right within 5 ms or what they say they may
// be wrong by, which on a busy host is more.
func TestPausedGuest(t *testing.T) {
	sink := newCollector(t)
	name := unique(t, "pause")
	c := quick(t, name)
	all(c)
	sink.to(c)
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64-ring", QMP: true, Args: []string{"-name", name}})
	vm.WaitConsole(t, "requests served", patience)
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool { return g.Traces.Sent > 1000 && g.Profile.Samples > 0 })
	for _, e := range vm.Events() {
		if e.Name == "STOP" {
			t.Fatal("the agent stopped the guest")
		}
	}
	vm.QMP(t, "stop", nil)
	// What ran until the pause is read and sent by then.
	a.guest(name, func(g status.Guest) bool { return g.State == "paused" })
	time.Sleep(3 * time.Second)
	sent := a.guest(name, func(status.Guest) bool { return true }).Traces.Sent
	vm.QMP(t, "cont", nil)
	if g := a.guest(name, func(g status.Guest) bool { return g.Traces.Sent > sent+1000 }); g.Stops.Count != 0 {
		t.Errorf("%+v", g.Stops)
	}
	vm.QMP(t, "stop", nil)
	a.guest(name, func(g status.Guest) bool { return g.State == "paused" })
	time.Sleep(time.Second)
	a.end()
	var stops, resumes []time.Time
	for _, e := range vm.Events() {
		switch e.Name {
		case "STOP":
			stops = append(stops, e.Time())
		case "RESUME":
			resumes = append(resumes, e.Time())
		}
	}
	stopped, resumed, end := stops[0], resumes[len(resumes)-1], stops[1]
	type ending struct {
		at     time.Time
		within time.Duration
	}
	var ends []ending
	instances := map[string]bool{}
	spansOf(t, sink, func(_, instance string, s ptrace.Span) {
		instances[instance] = true
		told, _ := s.Attributes().Get(otlp.UncertaintyKey)
		ends = append(ends, ending{s.EndTimestamp().AsTime(), max(5*time.Millisecond, time.Duration(told.Int()))})
	})
	slices.SortFunc(ends, func(a, b ending) int { return a.at.Compare(b.at) })
	middle := stopped.Add(resumed.Sub(stopped) / 2)
	i, _ := slices.BinarySearchFunc(ends, middle, func(e ending, at time.Time) int { return e.at.Compare(at) })
	if i == 0 || i == len(ends) {
		t.Fatalf("%d spans, %d before the pause", len(ends), i)
	}
	last, first := ends[i-1], ends[i]
	t.Logf("%d spans; the last before the pause ended %v after it began (±%v), the first behind it %v after its end (±%v)", len(ends), last.at.Sub(stopped), last.within, first.at.Sub(resumed), first.within)
	// How long before a pause the guest ended its last span is the host's to say, who may
	// not let it run; times that take the pause for running are off by all of it.
	const starved = 1500 * time.Millisecond
	if d := last.at.Sub(stopped); d > last.within || d < -starved {
		t.Errorf("the last span before the pause ended %v after it began", d)
	}
	// What came until it was noticed that the guest runs again may be lost to its rings.
	if d := first.at.Sub(resumed); d < -first.within || d > 2*quietTrace {
		t.Errorf("the first span behind the pause ended %v after its end", d)
	}
	newest := ends[len(ends)-1]
	if d := newest.at.Sub(end); d > newest.within || d < -starved {
		t.Errorf("the last span of all ended %v after the guest was stopped again", d)
	}
	if len(instances) != 1 {
		t.Errorf("a pause made another instance: %v", instances)
	}
}

// A guest that is set back to a snapshot is another instance from then on, and no span
// of the second run has the identifiers of one of the first.
func TestRestoredGuest(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", disk, "1M").CombinedOutput(); err != nil {
		t.Fatalf("qemu-img (make tools installs it): %v: %s", err, out)
	}
	for _, image := range []string{"ukguest-x86_64-ring", "ukguest-x86_64"} {
		t.Run(image, func(t *testing.T) {
			sink := newCollector(t)
			name := unique(t, "restore")
			c := quick(t, name)
			all(c)
			c.Profile.Enabled = false
			sink.to(c)
			vm := guesttest.Start(t, guesttest.Options{Image: image, QMP: true, Args: []string{"-name", name, "-drive", "if=none,format=qcow2,file=" + disk}})
			vm.WaitConsole(t, "requests served", patience)
			a := run(t, c, nil)
			a.guest(name, func(g status.Guest) bool { return g.Traces.Sent > 100 })
			sent := a.guest(name, func(status.Guest) bool { return true }).Traces.Sent
			if text := vm.HMP(t, "savevm one"); strings.TrimSpace(text) != "" {
				t.Fatal(text)
			}
			// Longer than it can take until the guest is looked at again, and it was.
			time.Sleep(5 * time.Second)
			a.guest(name, func(g status.Guest) bool { return g.Traces.Sent > sent })
			if text := vm.HMP(t, "loadvm one"); strings.TrimSpace(text) != "" {
				t.Fatal(text)
			}
			a.said("set back to an earlier state")
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
				instances := map[string]bool{}
				if spansOf(t, sink, func(_, instance string, _ ptrace.Span) { instances[instance] = true }); len(instances) > 1 {
					break
				}
			}
			time.Sleep(2 * time.Second)
			a.end()
			spans := map[string]int{}
			ids := map[ptraceID]string{}
			spansOf(t, sink, func(_, instance string, s ptrace.Span) {
				spans[instance]++
				id := ptraceID{s.TraceID(), s.SpanID()}
				if was, twice := ids[id]; twice {
					t.Errorf("a span of %s has the identifiers of one of %s", instance, was)
				}
				ids[id] = instance
			})
			if len(spans) != 2 {
				t.Fatalf("spans by instance: %v", spans)
			}
			for instance := range spans {
				if base, plus, ok := strings.Cut(instance, "+"); ok && (plus != "1" || spans[base] == 0) {
					t.Errorf("instances %v", spans)
				}
			}
			t.Logf("spans by instance: %v", spans)
		})
	}
}

type ptraceID struct {
	trace [16]byte
	span  [8]byte
}

// A guest that dies is kept until a small dump of it is made, and its end goes on then.
func TestKeepCrashed(t *testing.T) {
	dumps := filepath.Join(t.TempDir(), "dumps")
	name := unique(t, "dies")
	c := quick(t, name)
	c.Profile.Enabled, c.Traces.Enabled = false, false
	c.Console.KeepCrashed, c.Console.DumpDir = patience, dumps
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-arm64", Append: "rate=100 fault=null after=500 crash=exit", QMP: true, Args: []string{"-name", name, "-S"}})
	a := run(t, c, func(o *Options) {
		o.Guard = guard.Options{Command: guard.Self(), State: guesttest.StateDir(t), Verb: "agent"}
	})
	// It begins when the agent knows it, and has arranged that it is kept.
	a.guest(name, known)
	time.Sleep(time.Second)
	vm.QMP(t, "cont", nil)
	a.said("it died")
	list, err := filepath.Glob(filepath.Join(dumps, "*"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no dump: %v", err)
	}
	for _, f := range list {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
	vm.WaitExit(t, patience)
}

// A guest that only its stub could tell of is refused, and with a budget for stops
// sampled within it.
func TestStubOnly(t *testing.T) {
	name := unique(t, "stub")
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", Args: []string{"-name", name}})
	vm.WaitConsole(t, "requests served", patience)
	c := quick(t, name)
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool { return strings.Contains(g.Profile.Note, "refused: would stop it") })
	a.end()
	for _, e := range vm.Events() {
		if e.Name == "STOP" {
			t.Fatal("the agent stopped the guest")
		}
	}
	c.Stops.Profile = 0.05
	b := run(t, c, func(o *Options) {
		o.Guard = guard.Options{Command: guard.Self(), State: guesttest.StateDir(t), Verb: "agent"}
	})
	g := b.guest(name, func(g status.Guest) bool { return g.Profile.Samples > 0 })
	if g.Stops.Count == 0 || g.Stops.Total > time.Since(g.Since)/10 {
		t.Errorf("%+v", g.Stops)
	}
	b.end()
	if !vm.Running(t) {
		t.Error("the guest was left stopped")
	}
}
