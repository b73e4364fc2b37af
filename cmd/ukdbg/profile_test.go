package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/profiler"
)

// The kinds of profiles of a guest that nothing stops, on both architectures.
func TestProfileKinds(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: image, GDB: "tcp", QMP: true})
			g.WaitConsole(t, "requests served", patience)
			at := "qmp:" + g.QMPPath
			for _, kind := range []profiler.Kind{profiler.Wall, profiler.OffCPU} {
				file := filepath.Join(t.TempDir(), "p.pb.gz")
				mustVerb(t, "profile", string(kind), at, "-e", g.Debug, "-d", "1s", "-o", file)
				p, err := readProfile(file)
				if err != nil {
					t.Fatal(err)
				}
				if p.Kind != kind || p.Pause.Stops != 0 {
					t.Errorf("%s: kind %s, %d stops", kind, p.Kind, p.Pause.Stops)
				}
				seen, states := map[string]int64{}, map[string]int64{}
				var all int64
				for _, s := range p.Samples {
					seen[s.Thread.Name] += s.Count
					states[s.State] += s.Count
					all += s.Count
					if kind == profiler.OffCPU && (s.Thread.Idle || s.State == "running") {
						t.Errorf("offcpu has thread %s, %s", s.Thread.Name, s.State)
					}
				}
				// Each thread is somewhere at each sample; main only ever sleeps.
				main := seen["main"]
				if main == 0 || kind == profiler.Wall && (seen["idle"] != main || all != 7*main) {
					t.Errorf("%s: samples by thread %v", kind, seen)
				}
				if states["sleeping"] == 0 || states["waits for semaphore server.queue.ready"] == 0 {
					t.Errorf("%s: samples by state %v", kind, states)
				}
			}
			locks := mustVerb(t, "profile", "lock", at, "-e", g.Debug, "-d", "1s", "--json")
			var l struct {
				Kind, Unit string
				Samples    int64
				Top        []struct{ Function string }
			}
			if err := json.Unmarshal([]byte(locks), &l); err != nil {
				t.Fatal(err)
			}
			if l.Kind != "lock" || l.Unit != "nanoseconds" || l.Samples == 0 || len(l.Top) == 0 || l.Top[0].Function != "[mutex_lock cache]" {
				t.Errorf("lock: %+v", l)
			}
			if out := mustVerb(t, "profile", "heap", at, "-e", g.Debug, "-d", "1s"); !strings.Contains(out, "inuse_space") || !strings.Contains(out, "[allocations of ") {
				t.Errorf("heap:\n%s", out)
			}
			g.mustServe(t)
		})
	}
}

// Where no record tells of allocations the allocators are walked.
func TestProfileHeapWalked(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", QMP: true, Append: "trace=off"})
	g.WaitConsole(t, "requests served", patience)
	out := mustVerb(t, "profile", "heap", "qmp:"+g.QMPPath, "-e", g.Debug, "-d", "300ms")
	for _, want := range []string{"[buddy allocator at 0x", "warning: walked: what the allocators' own structures say", "inuse_space"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q:\n%s", want, out)
		}
	}
	g.mustServe(t)
}

// Call chains of a uktrace image name what holds memory.
func TestProfileHeapChains(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64-ring", GDB: "tcp", QMP: true})
	g.WaitConsole(t, "requests served", patience)
	mustVerb(t, "trace", "enable", g.GDBAddr(), "*alloc*", "-e", g.Debug, "--frames", "16")
	file := filepath.Join(t.TempDir(), "heap.pb.gz")
	g.serves(t, 200)
	mustVerb(t, "profile", "heap", "qmp:"+g.QMPPath, "-e", g.Debug, "-d", "1s", "-o", file)
	p, err := readProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Samples {
		for _, f := range s.Stack {
			if f.Function == "worker_main" && f.File != "" && s.Value > 0 && s.Count > 0 {
				return
			}
		}
	}
	t.Errorf("no chain through worker_main: %+v", p.Samples)
}

func TestTop(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", QMP: true})
	g.WaitConsole(t, "requests served", patience)
	out := mustVerb(t, "top", "qmp:"+g.QMPPath, "-e", g.Debug, "-n", "2", "-d", "300ms")
	if strings.Count(out, "guest stopped 0.0 ms in 0 stops") != 2 || strings.Contains(out, "\x1b") {
		t.Errorf("two blocks, nothing stopped, no escapes:\n%s", out)
	}
	// What a worker waits for depends on the moment.
	for _, want := range []string{"worker-1 ", `waits for (semaphore server\.queue\.ready|mutex cache\.lock|a semaphore)`, "heap: buddy ", "trace: "} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %q:\n%s", want, out)
		}
	}
	// A budget that a slow machine's stops do not use up.
	lines := mustVerb(t, "top", g.GDBAddr(), "-e", g.Debug, "-n", "1", "-d", "2s", "--pause-budget", "50%", "--json")
	var o struct {
		Threads []struct {
			Name string
			CPU  float64
		}
		Stops   int
		Stopped int64 `json:"stopped_ns"`
		Heap    []struct{ Used *uint64 }
	}
	mustKeys(t, fields(t, lines, &o), "time", "interval_ns", "threads", "top", "samples", "heap", "trace", "stopped_ns", "stops", "vcpu_exits")
	if len(o.Threads) == 0 || o.Stops == 0 || o.Stopped == 0 || len(o.Heap) != 0 {
		t.Errorf("%+v", o)
	}
	g.mustServe(t)
}

func TestProfileDiffVerb(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a.pb.gz"), filepath.Join(t.TempDir(), "b.pb.gz")
	for _, f := range []string{a, b} {
		writeProfile(t, f)
	}
	out := mustVerb(t, "profile", "diff", a, b)
	if !strings.Contains(out, "+0.0") || !strings.Contains(out, "serve") {
		t.Errorf("%s", out)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"profile", "diff", a}, exitUsage, "want two profiles"},
		{[]string{"profile", "diff", a, "nothere"}, exitFailed, "nothere"},
		{[]string{"profile", "disk", "x"}, exitUsage, "none of cpu, wall, offcpu, heap and lock"},
		{[]string{"profile", "cpu", "x", "--format", "gif", "-o", "y"}, exitUsage, `no format "gif"`},
		{[]string{"web", "--listen", "0.0.0.0:80", a}, exitUsage, "on loopback only"},
	} {
		status, _, errs := verb(t, "", c.args...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%v: status %d: %s", c.args, status, errs)
		}
	}
}

// writeProfile writes a small profile.
func writeProfile(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(pprof.Write(f, exporttest.Profile()), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// pprof's own pages come up on loopback and go with ^C.
func TestWeb(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+"/", ".", "../ukdbg-pprof")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(dir, "p.pb.gz")
	writeProfile(t, file)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "ukdbg"), "web", file)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url, _, _ := strings.Cut(line, " ")
	var page string
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if r, err := http.Get(url + "top"); err == nil {
			b, rerr := io.ReadAll(r.Body)
			r.Body.Close()
			if rerr == nil {
				page = string(b)
				break
			}
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if !strings.Contains(page, "serve") {
		t.Errorf("no function of the profile in pprof's page:\n%.500s", page)
	}
	// A name of somebody else's that leads here shows nothing.
	req, err := http.NewRequest(http.MethodGet, url+"top", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.example"
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("asked as %s it answers %s", req.Host, r.Status)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after ^C: %v", err)
	}
}
