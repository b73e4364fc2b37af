package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

func known(g status.Guest) bool { return g.Image.Debug != "" }

// Guests are found as they come, named by their images, sampled while they run and no
// longer than that, and forgotten when they end. None of this takes a command that
// changes a guest: the monitors here know none.
func TestFleet(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	sink := newCollector(t)
	c := quick(t, unique(t, "fleet-*"))
	c.Guests.Exclude = []string{"*-not"}
	c.Profile.MinCPU = 0.08 // the busy one uses a fifth, and what answers a monitor is a program here, too
	sink.to(c)
	idle, not := unique(t, "fleet-idle"), unique(t, "fleet-not")
	fake(t, snap, fakevmm.Options{Name: idle, Shared: true})
	fake(t, snap, fakevmm.Options{Name: not, Shared: true})
	a := run(t, c, nil)
	a.guest(idle, known)

	busy := unique(t, "fleet-busy")
	vm := fake(t, snap, fakevmm.Options{Name: busy})
	a.guest(busy, known)
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	g := a.guest(busy, func(g status.Guest) bool { return g.Profile.Samples > 0 })
	if g.Commands[0].Line != "ukdbg ls --long" || !strings.HasPrefix(g.Commands[1].Line, "ukdbg profile cpu pid:") {
		t.Errorf("%+v", g.Commands)
	}
	if g.Stops.Count != 0 || g.State != "running" || len(g.Commands) < 2 {
		t.Errorf("%+v", g)
	}
	sink.await(t, "/v1development/profiles", func(b []byte) bool {
		return strings.Contains(string(b), busy) && strings.Contains(string(b), "idle_main")
	})
	if err := vm.Do("busy off"); err != nil {
		t.Fatal(err)
	}
	if i := a.guest(idle, known); i.Profile.Samples != 0 {
		t.Errorf("a guest that does not run was sampled: %+v", i.Profile)
	}
	for _, g := range a.page().Guests {
		if g.Name == not {
			t.Error("a guest that the configuration leaves out is watched")
		}
	}
	if err := vm.Do("status paused"); err != nil {
		t.Fatal(err)
	}
	a.guest(busy, func(g status.Guest) bool { return g.State == "paused" })
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	a.said("gone: " + busy)
}

// A guest whose monitor hangs is told, and delays nobody.
func TestHangingGuest(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	c := quick(t, unique(t, "hang-*"))
	c.Guests.Timeout, c.Limits.Workers, c.Profile.AtOnce = 300*time.Millisecond, 2, 2
	a := run(t, c, nil)
	var hung []*fakevmm.VM
	for _, n := range []string{"a", "b", "c", "d"} {
		vm := fake(t, snap, fakevmm.Options{Name: unique(t, "hang-"+n), Shared: true})
		for _, order := range []string{"hang", "busy on"} {
			if err := vm.Do(order); err != nil {
				t.Fatal(err)
			}
		}
		hung = append(hung, vm)
	}
	time.Sleep(time.Second)
	good := unique(t, "hang-not")
	vm := fake(t, snap, fakevmm.Options{Name: good, Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a.guest(good, func(g status.Guest) bool { return g.Profile.Samples > 0 })
	// And one that answers again is watched again.
	if err := hung[0].Do("answer"); err != nil {
		t.Fatal(err)
	}
	a.guest(unique(t, "hang-a"), func(g status.Guest) bool { return g.Profile.Samples > 0 })
}

func traces(t testing.TB, b []byte) ptrace.Traces {
	t.Helper()
	q := ptraceotlp.NewExportRequest()
	if err := q.UnmarshalProto(b); err != nil {
		t.Fatal(err)
	}
	return q.Traces()
}

// spansOf calls f with every span a receiver got.
func spansOf(t testing.TB, c *collector, f func(service, instance string, s ptrace.Span)) {
	t.Helper()
	for _, b := range c.requests("/v1/traces") {
		all := traces(t, b).ResourceSpans()
		for i := range all.Len() {
			attr := func(key string) string {
				v, ok := all.At(i).Resource().Attributes().Get(key)
				if !ok {
					t.Fatalf("a resource without %s", key)
				}
				return v.Str()
			}
			for j := range all.At(i).ScopeSpans().Len() {
				spans := all.At(i).ScopeSpans().At(j).Spans()
				for k := range spans.Len() {
					f(attr("service.name"), attr("service.instance.id"), spans.At(k))
				}
			}
		}
	}
}

// Two VMs of one snapshot, even with one UUID, share thread ids, clock and records;
// what is sent of them shares no identifier. Texts of the guest's memory stay in it.
func TestClones(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64-ring")
	sink := newCollector(t)
	c := quick(t, unique(t, "clone-*"))
	c.Traces.Keep, c.Traces.SpansPerSecond = 1, 1e6
	c.Redact = []string{"thread.name"}
	sink.to(c)
	a := run(t, c, nil)
	for _, n := range []string{"a", "b"} {
		vm := fake(t, snap, fakevmm.Options{Name: unique(t, "clone-"+n), Shared: true, UUID: "8c2b8f06-3f0c-4a51-9d53-0a33f4a1c0de"})
		if err := vm.Do("busy on"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"a", "b"} {
		a.guest(unique(t, "clone-"+n), func(g status.Guest) bool { return g.Traces.Sent > 0 })
	}
	instances := map[string]string{}
	names := map[string]map[string]int{}
	ids := map[[24]byte]string{}
	x, y := unique(t, "clone-a"), unique(t, "clone-b")
	deadline := time.Now().Add(patience)
	for (len(instances) < 2 || len(names[x]) < 4 || len(names[x]) != len(names[y])) && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		clear(ids)
		clear(names)
		spansOf(t, sink, func(service, instance string, s ptrace.Span) {
			instances[service] = instance
			var id [24]byte
			trace, span := s.TraceID(), s.SpanID()
			copy(id[:], trace[:])
			copy(id[16:], span[:])
			if was, twice := ids[id]; twice {
				t.Errorf("a span of %s has the identifiers of one of %s", service, was)
			}
			ids[id] = service
			if names[service] == nil {
				names[service] = map[string]int{}
			}
			names[service][s.Name()]++
			for key, v := range s.Attributes().All() {
				if key == "thread.name" && v.AsString() != redacted {
					t.Errorf("thread.name is %q", v.AsString())
				}
				if strings.HasPrefix(key, "ukdbg.arg") && v.Type().String() == "Str" {
					t.Errorf("%s of %s is a text of the guest's memory: %q", key, s.Name(), v.AsString())
				}
				if key == "ukdbg.enter" || key == "ukdbg.leave" {
					t.Errorf("%s is sent: %q", key, v.AsString())
				}
			}
		})
	}
	if len(instances) != 2 || instances[x] == instances[y] {
		t.Fatalf("instances %v", instances)
	}
	if len(names[x]) < 4 || len(names[x]) != len(names[y]) {
		t.Errorf("the clones' spans: %v and %v", names[x], names[y])
	}
}

// What a receiver that is away does not get waits for it, through the end of the agent
// too; the agent goes on meanwhile.
func TestReceiverAway(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	sink := newCollector(t)
	sink.down(true)
	c := quick(t, unique(t, "away-*"))
	c.Limits.Spool = filepath.Join(t.TempDir(), "spool")
	sink.to(c)
	name := unique(t, "away-a")
	vm := fake(t, snap, fakevmm.Options{Name: name, Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool { return g.Profile.Samples > 0 })
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		p := a.page()
		if len(p.Problems) > 0 && strings.Contains(strings.Join(p.Problems, " "), "takes no profiles") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the page does not tell that the receiver is away: %v", p.Problems)
		}
	}
	a.end()
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	sink.down(false)
	c2 := *c
	c2.Profile.Enabled = false
	run(t, &c2, nil)
	sink.await(t, "/v1development/profiles", func(b []byte) bool { return strings.Contains(string(b), name) })
	if st, err := os.Stat(c.Limits.Spool); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the spool's folder: %v, %v", st.Mode(), err)
	}
}

// A fault on a console becomes a log record with the names of the guest's image, though
// the guest is gone by then, and one that came while the agent was away too.
func TestFaultReport(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	dying := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", Append: "fault=null after=20"})
	text := []byte(dying.WaitConsole(t, "Unikraft halted", patience) + "\n")
	dying.Kill()
	sink := newCollector(t)
	c := quick(t, unique(t, "fault-*"))
	c.Profile.Enabled, c.Traces.Enabled = false, false
	sink.to(c)
	console := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(console, []byte("ukguest: up\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	name := unique(t, "fault-a")
	vm := fake(t, snap, fakevmm.Options{Name: name, Console: console, Shared: true})
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool { return g.Console == console && known(g) })
	write := func() {
		f, err := os.OpenFile(console, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	write()
	b := sink.await(t, "/v1/logs", nil)
	checkFault(t, b, name)
	if a.page().Faults[0].Fingerprint == "" {
		t.Errorf("%+v", a.page().Faults)
	}
	a.end()
	write()
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	n := len(sink.requests("/v1/logs"))
	run(t, c, nil)
	for end := time.Now().Add(patience); len(sink.requests("/v1/logs")) == n; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the fault that came while the agent was away is lost")
		}
	}
	checkFault(t, sink.requests("/v1/logs")[n], name)
}

func checkFault(t *testing.T, b []byte, name string) {
	t.Helper()
	q := plogotlp.NewExportRequest()
	if err := q.UnmarshalProto(b); err != nil {
		t.Fatal(err)
	}
	rl := q.Logs().ResourceLogs().At(0)
	if v, _ := rl.Resource().Attributes().Get("service.name"); v.Str() != name {
		t.Errorf("a fault of %q", v.Str())
	}
	r := rl.ScopeLogs().At(0).LogRecords().At(0)
	attrs := r.Attributes().AsRaw()
	stack, _ := attrs["exception.stacktrace"].(string)
	if attrs["exception.type"] != "page-fault" || !strings.Contains(stack, "fault_null") || len(attrs["ukdbg.fault.fingerprint"].(string)) != 8 || r.SeverityNumber() != 21 {
		t.Errorf("%v %v", r.Body().AsString(), attrs)
	}
	if strings.Contains(stack, "48 8b") {
		t.Errorf("bytes of the guest's memory are sent: %s", stack)
	}
}

// The agent tells what it uses, and what it did with each guest.
func TestMetrics(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64-ring")
	sink := newCollector(t)
	c := quick(t, unique(t, "metric-*"))
	sink.to(c)
	vm := fake(t, snap, fakevmm.Options{Name: unique(t, "metric-a"), Shared: true})
	if err := vm.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, nil)
	a.guest(unique(t, "metric-a"), func(g status.Guest) bool { return g.Traces.Spans > 0 && g.Profile.Samples > 0 })
	wanted := []string{"ukdbg.span.duration", "ukdbg.agent.cpu.time", "ukdbg.agent.memory", "ukdbg.guests", "ukdbg.guest.stops", "ukdbg.guest.samples", "ukdbg.guest.trace.records",
		"ukdbg.guest.trace.lost", "ukdbg.export.items", "ukdbg.export.waiting", "ukdbg.agent.cpu.limit"}
	var all map[string]pmetric.Metric
	sink.await(t, "/v1/metrics", func(b []byte) bool {
		q := pmetricotlp.NewExportRequest()
		if err := q.UnmarshalProto(b); err != nil {
			t.Fatal(err)
		}
		all = map[string]pmetric.Metric{}
		for i := range q.Metrics().ResourceMetrics().Len() {
			rm := q.Metrics().ResourceMetrics().At(i)
			if v, _ := rm.Resource().Attributes().Get("service.name"); v.Str() != "ukdbg-agent" {
				t.Errorf("metrics of %q", v.Str())
			}
			for j := range rm.ScopeMetrics().Len() {
				ms := rm.ScopeMetrics().At(j).Metrics()
				for k := range ms.Len() {
					all[ms.At(k).Name()] = ms.At(k)
				}
			}
		}
		for _, name := range wanted {
			if _, ok := all[name]; !ok {
				return false
			}
		}
		return true
	})
	if h := all["ukdbg.span.duration"]; h.Type() != pmetric.MetricTypeHistogram || h.Histogram().DataPoints().At(0).Count() == 0 {
		t.Errorf("ukdbg.span.duration: %v", h.Type())
	}
}

// A changed file is taken over, a bad one told while what was in force stays.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil { // never half of it
			t.Fatal(err)
		}
	}
	good := "listen: {address: \"127.0.0.1:0\"}\nguests: {every: 500ms, include: ["
	snap := snapshotOf(t, "ukguest-x86_64")
	first, second := unique(t, "reload-a"), unique(t, "reload-b")
	fake(t, snap, fakevmm.Options{Name: first, Shared: true})
	fake(t, snap, fakevmm.Options{Name: second, Shared: true})
	write(good + first + "]}\n")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	a := run(t, c, func(o *Options) { o.File = file })
	a.guest(first, known)
	write(good + "nobody]}\nprofile: {hertz: 19}\n")
	a.said("there is no such key; valid here: enabled, kinds, hz")
	a.guest(first, known)
	if p := a.page(); len(p.Problems) == 0 || !strings.Contains(p.Problems[0], "hertz") {
		t.Errorf("the page does not tell of the bad file: %v", p.Problems)
	}
	write(good + second + "]}\n")
	a.reload <- struct{}{}
	a.guest(second, known)
	for _, g := range a.page().Guests {
		if g.Name == first {
			t.Error("a guest that the new configuration leaves out is still watched")
		}
	}
	if p := a.page(); len(p.Problems) != 0 {
		t.Errorf("problems after a good file: %v", p.Problems)
	}
}
