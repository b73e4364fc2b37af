package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	gpprof "github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// sourceJSON is what these tests read of profile --json.
type sourceJSON struct {
	Source  string
	Samples int64
	Idle    float64
	Stops   int
	Outside int64
	Top     []struct{ Function string }
}

func parseProfile(t *testing.T, out string) (p sourceJSON) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return p
}

// One guest by each source, whatever way its target names; an emulated one cannot
// be sampled by the host's kernel.
func TestProfileSources(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true, Append: "burn"})
	g.WaitConsole(t, "requests served", patience)
	monitor := "qmp:" + g.QMPPath
	for _, c := range []struct {
		target, source, want string
		stops                bool
	}{
		{monitor, "auto", "monitor", false}, {monitor, "monitor", "monitor", false}, {monitor, "stub", "stub", true},
		{g.GDBAddr(), "auto", "stub", true}, {g.GDBAddr(), "monitor", "monitor", false},
	} {
		p := parseProfile(t, mustVerb(t, "profile", c.target, "-e", g.Debug, "-d", "2s", "--pause-budget", "50%", "--source", c.source, "--json"))
		if p.Source != c.want || p.Stops > 0 != c.stops || p.Samples < 5 || p.Idle > 0.5 {
			t.Errorf("%s --source %s: %+v", c.target, c.source, p)
		}
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"profile", monitor, "--source", "perf"}, exitFailed, "cannot be sampled by perf: it is emulated"},
		{[]string{"profile", g.GDBAddr(), "--source", "perf"}, exitFailed, "run it under KVM"},
		{[]string{"profile", "wall", monitor, "--source", "perf"}, exitFailed, "a profile of kind wall walks the guest's threads"},
		{[]string{"profile", monitor, "--source", "magic"}, exitUsage, "none of auto, monitor, perf and stub"},
	} {
		status, _, errs := verb(t, "", append(c.args, "-e", g.Debug)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%v: status %d: %s", c.args, status, errs)
		}
	}
	g.mustServe(t)
}

// A guest without a monitor to use and without KVM is sampled by its stub, which is
// told.
func TestProfileFallsBackToTheStub(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", Append: "burn"}) // its monitor is the test's
	g.WaitConsole(t, "requests served", patience)
	status, out, errs := verb(t, "", "profile", fmt.Sprintf("pid:%d", g.Pid()), "-e", g.Debug, "-d", "2s", "--pause-budget", "50%", "--json")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	if p := parseProfile(t, out); p.Source != "stub" || p.Stops == 0 {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(errs, "it is emulated") || !strings.Contains(errs, "sampled in short stops by its stub unix:") {
		t.Errorf("not told: %s", errs)
	}
	g.mustServe(t)
}

// A KVM guest without a monitor is sampled by the host's kernel. How much of it this
// host's KVM lets be seen is the host's affair; what is seen must be the guest's, and
// what is not must be said.
func TestProfileByTheHostsKernel(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("not run: the guest is for x86_64")
	}
	guesttest.NeedKVM(t)
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", Accel: "kvm", Append: "burn"})
	for end := time.Now().Add(patience); !strings.Contains(vm.Console(), "heap"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Skipf("not run: the guest does not boot on this KVM; console: %q", vm.Console())
		}
	}
	file := filepath.Join(t.TempDir(), "p.pb.gz")
	if out := mustVerb(t, "doctor", fmt.Sprintf("pid:%d", vm.Pid())); !strings.Contains(out, "✔ perf         ready  the host's kernel samples the guest") &&
		!strings.Contains(out, "→ give ukdbg the capability") && !strings.Contains(out, "seccomp") {
		t.Errorf("doctor says nothing of perf:\n%s", out)
	}
	target := fmt.Sprintf("pid:%d", vm.Pid())
	status, out, errs := verb(t, "", "profile", target, "-e", vm.Debug, "-d", "8s", "-F", "1000", "--json", "-o", file)
	if status != 0 {
		for _, why := range []string{"all ", "no CAP_PERFMON", "perf_event_paranoid", "seccomp", "does not count in guests"} {
			if status == exitFailed && strings.Contains(errs, "cannot be sampled by perf") && strings.Contains(errs, why) {
				t.Skipf("not run: %s", errs)
			}
		}
		t.Fatalf("status %d: %s", status, errs)
	}
	p := parseProfile(t, out)
	t.Logf("%+v", p)
	if !strings.HasPrefix(p.Source, "perf ") || p.Samples == 0 || p.Stops != 0 {
		t.Errorf("%+v", p)
	}
	for _, f := range p.Top {
		if strings.HasPrefix(f.Function, "0x") {
			t.Errorf("a sample outside the guest's functions: %s", f.Function)
		}
	}
	r, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read, err := gpprof.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range read.Sample {
		// Of one location; functions inlined there are lines of it.
		if len(s.Location) != 1 || len(s.Label["stack"]) != 1 || s.Label["stack"][0] != "flat" {
			t.Errorf("a sample of %d locations, labelled %v", len(s.Location), s.Label)
		}
	}
	if text := strings.Join(read.Comments, "\n"); !strings.Contains(text, "sampled by perf") || !strings.Contains(text, "flat: ") {
		t.Errorf("comments:\n%s", text)
	}
}
