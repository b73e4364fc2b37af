package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// fields decodes one JSON object and returns its keys, sorted.
func fields(t *testing.T, text string, into any) []string {
	t.Helper()
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		t.Fatalf("no JSON object: %v\n%s", err, text)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var out []string
	for k := range keys {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func mustKeys(t *testing.T, got []string, want ...string) {
	t.Helper()
	sort.Strings(want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("fields %q, docs/json.md has %q", got, want)
	}
}

func TestVerbsOnLiveGuest(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	g.WaitConsole(t, "requests served", patience)
	g.serves(t, 20)
	at := []string{g.GDBAddr(), "-e", g.Debug}
	with := func(words ...string) []string { return append(words, at...) }

	t.Run("threads", func(t *testing.T) {
		out := mustVerb(t, with("threads", "--stacks")...)
		for _, name := range []string{"main", "worker-1", "worker-2", "worker-3", "disk", "acceptor", "idle"} {
			if !regexp.MustCompile(`(?m)^.{5} +` + name + ` `).MatchString(out) {
				t.Errorf("no thread %s:\n%s", name, out)
			}
		}
		for _, f := range []string{"in acceptor_main at /src/guest/app/server.c:", "in disk_main at ", "in worker_main at ", "in app_main at "} {
			if !strings.Contains(out, f) {
				t.Errorf("no frame %q:\n%s", f, out)
			}
		}
		var a struct {
			Target, Image string
			Threads       []threadJSON
		}
		mustKeys(t, fields(t, mustVerb(t, with("threads", "--json")...), &a), "target", "image", "threads")
		if a.Target != g.GDBAddr() || a.Image != g.Debug || len(a.Threads) != 7 {
			t.Fatalf("target %s, image %s, %d threads", a.Target, a.Image, len(a.Threads))
		}
		running := 0
		for _, th := range a.Threads {
			if th.ID < 1 || th.Address == "" || len(th.Frames) < 2 || th.Error != "" {
				t.Errorf("%+v", th)
			}
			if !slices.Contains([]string{"running", "ready", "sleeping", "waiting", "idle", "exited"}, th.State) {
				t.Errorf("%s: state %q", th.Name, th.State)
			}
			if (th.CPU != nil) != (th.State == "running") {
				t.Errorf("%s is %s, its CPU %v", th.Name, th.State, th.CPU)
			}
			if th.CPU != nil {
				running++
			}
			if th.State == "waiting" && th.Wait == "" {
				t.Errorf("%s waits for nothing", th.Name)
			}
			if th.ExecTimeNS == nil || *th.ExecTimeNS == 0 {
				t.Errorf("%s has no time", th.Name)
			}
			for i, f := range th.Frames {
				if f.Level != i || !strings.HasPrefix(f.PC, "0x") || f.Function == "" || f.File == "" || f.Line == 0 || f.FoundBy == "" {
					t.Errorf("%s frame %d: %+v", th.Name, i, f)
				}
			}
		}
		if running != 1 {
			t.Errorf("%d threads run on one processor", running)
		}
	})

	t.Run("heap", func(t *testing.T) {
		out := mustVerb(t, with("heap")...)
		if !regexp.MustCompile(`(?m)^buddy +0x[0-9a-f]+ .* MiB`).MatchString(out) {
			t.Errorf("heap:\n%s", out)
		}
		var a struct{ Allocators []allocatorJSON }
		mustKeys(t, fields(t, mustVerb(t, with("heap", "--json")...), &a), "allocators")
		if len(a.Allocators) != 1 {
			t.Fatalf("%d allocators", len(a.Allocators))
		}
		h := a.Allocators[0]
		// The guest says at boot how much heap it has.
		m := regexp.MustCompile(`CPU, (\d+) KiB heap`).FindStringSubmatch(g.Console())
		said, err := strconv.Atoi(m[1])
		// The guest counts its free lists' own pages too.
		if err != nil || h.Total == nil || math.Abs(float64(*h.Total>>10)-float64(said)) > 64 {
			t.Errorf("total %d KiB, the guest said %s", *h.Total>>10, m[1])
		}
		if *h.Free+*h.Used != *h.Total || *h.Largest > *h.Free || *h.Largest == 0 || len(h.Corrupt) != 0 {
			t.Errorf("free %d + used %d, total %d, largest %d, corrupt %v", *h.Free, *h.Used, *h.Total, *h.Largest, h.Corrupt)
		}
	})

	t.Run("trace list", func(t *testing.T) {
		out := mustVerb(t, with("trace", "list", "--last", "5")...)
		if n := strings.Count(out, "\n"); n != 6 {
			t.Errorf("%d lines for 5 records and a summary:\n%s", n, out)
		}
		out = mustVerb(t, with("trace", "list", "--json")...)
		seen, last := map[string]int{}, uint64(0)
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			var r struct {
				TimeNS     uint64 `json:"time_ns"`
				Name, Text string
				Args       []any
				Error      string
				Offset     uint64
			}
			keys := fields(t, line, &r)
			if r.Error != "" {
				t.Errorf("a bad record: %s", line)
				continue
			}
			if !slices.Contains(keys, "thread") {
				keys = append(keys, "thread") // the first records' thread is not known
				sort.Strings(keys)
			}
			mustKeys(t, keys, "time_ns", "unix_ns", "name", "text", "args", "offset", "thread")
			if r.TimeNS < last {
				t.Errorf("time goes back at offset %d", r.Offset)
			}
			last = r.TimeNS
			seen[r.Name]++
			if r.Name == "request_serve" && (len(r.Args) != 3 || !strings.Contains(r.Text, fmt.Sprintf("path=%v ", r.Args[1]))) {
				t.Errorf("request_serve: %s", line)
			}
			if t.Failed() {
				break
			}
		}
		if seen["request_serve"] < 10 || seen["vfs_read"] == 0 || seen["sched_switch"] == 0 {
			t.Errorf("records: %v", seen)
		}
	})

	t.Run("trace summary", func(t *testing.T) {
		out := mustVerb(t, with("trace", "summary")...)
		if !regexp.MustCompile(`(?m)^ +request_serve +\d+ +\d+ +\d+ +([\d.]+ [mµn]?s *){7}$`).MatchString(out) {
			t.Errorf("summary:\n%s", out)
		}
	})

	t.Run("trace export", func(t *testing.T) {
		dir := t.TempDir()
		for form, check := range map[string]func([]byte) bool{
			"otlp": func(b []byte) bool { return strings.Contains(string(b), "request_serve") },
			"otlp-json": func(b []byte) bool {
				for line := range strings.Lines(string(b)) { // the more the longer the guest has run
					var v struct{ ResourceSpans []any }
					if json.Unmarshal([]byte(line), &v) != nil || len(v.ResourceSpans) != 1 {
						return false
					}
				}
				return strings.Contains(string(b), `"request_serve"`)
			},
			"perfetto": func(b []byte) bool { return strings.Contains(string(b), "worker-1") },
			"chrome": func(b []byte) bool {
				var v struct {
					TraceEvents []struct {
						Name, Ph string
						Args     struct{ Name string }
					}
				}
				if json.Unmarshal(b, &v) != nil {
					return false
				}
				tracks := map[string]int{}
				for _, e := range v.TraceEvents {
					if e.Name == "thread_name" && e.Ph == "M" {
						tracks[e.Args.Name]++
					}
				}
				// Spans and records of no span: one track each thread.
				for name, n := range tracks {
					if n != 1 {
						t.Errorf("%d tracks are named %s", n, name)
					}
				}
				return len(v.TraceEvents) > 100 && tracks["worker-1"] == 1 && tracks["idle"] == 1
			},
		} {
			file := filepath.Join(dir, form)
			mustVerb(t, with("trace", "export", "--format", form, "-o", file)...)
			b, err := os.ReadFile(file)
			if err != nil || !check(b) {
				t.Errorf("%s: %v, %d bytes", form, err, len(b))
			}
		}
		bad := filepath.Join(dir, "bad")
		status, _, errs := verb(t, "", with("trace", "export", "--format", "abacus", "-o", bad)...)
		if _, err := os.Stat(bad); status == exitOK || err == nil || !strings.Contains(errs, "abacus") {
			t.Errorf("an unknown form: status %d, file %v, %s", status, err, errs)
		}
		// A receiver that is not there is asked again for a while: the guest runs meanwhile.
		p := spawn(t, with("trace", "export", "--to", "http://127.0.0.1:1")...)
		deadline := time.Now().Add(patience)
		for stops := len(g.Events()); len(g.Events()) < stops+2; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the guest was not stopped and resumed")
			}
		}
		g.mustServe(t)
		select {
		case <-p.done:
			t.Error("it gave up at once")
		default:
		}
		p.signal(t, os.Interrupt)
		if status := p.exit(t); status != exitFailed || !strings.Contains(p.errs.String(), "interrupted") {
			t.Errorf("no receiver: status %d: %s", status, &p.errs)
		}
	})

	t.Run("profile", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "cpu.pb.gz")
		var a struct {
			Ticks, Samples int64
			Duration       int64    `json:"duration_ns"`
			Period         int64    `json:"period_ns"`
			Stopped        int64    `json:"stopped_ns"`
			Longest        int64    `json:"longest_ns"`
			Stops          int      `json:"stops"`
			Warnings       []string `json:"warnings"`
			Top            []struct {
				Function, File string
				Flat, Cum      int64
			}
		}
		out := mustVerb(t, with("profile", "-d", "500ms", "--pause-budget", "50%", "--json", "-o", file)...)
		mustKeys(t, fields(t, out, &a), "kind", "unit", "ticks", "missed", "samples", "value", "duration_ns", "period_ns", "stopped_ns", "longest_ns", "stops", "vcpu_exits", "source", "idle", "late_ns", "lost", "outside", "warnings", "top")
		if a.Samples == 0 || a.Stopped == 0 || a.Longest > a.Stopped || a.Stops == 0 || a.Duration < int64(300*time.Millisecond) || len(a.Top) == 0 || len(a.Warnings) == 0 {
			t.Errorf("%+v", a)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pprof.Parse(z)
		if err != nil || len(p.Sample) == 0 {
			t.Fatalf("pprof: %v", err)
		}
		if out := mustVerb(t, with("profile", "-d", "200ms", "--top", "3")...); !strings.Contains(out, "FLAT") && !strings.Contains(out, "idle 100.0 %") || !strings.Contains(out, "guest stopped") {
			t.Errorf("profile:\n%s", out)
		}
	})

	t.Run("crash of nothing", func(t *testing.T) {
		if out := mustVerb(t, with("crash")...); out != "no fault: the guest is in ordinary code\n" {
			t.Errorf("crash: %s", out)
		}
		var a faultsJSON
		mustKeys(t, fields(t, mustVerb(t, with("crash", "--json")...), &a), "faults")
		if a.Faults == nil || len(a.Faults) != 0 {
			t.Errorf("faults %v", a.Faults)
		}
	})
	g.mustBeAsFound(t, true)
}

func TestCrash(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		g := boot(t, guesttest.Options{Image: image, GDB: "tcp", Append: "fault=null after=5"})
		console := g.WaitConsole(t, "Unikraft halted", patience)
		log := filepath.Join(t.TempDir(), "console.log")
		if err := os.WriteFile(log, []byte(console), 0o644); err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(`(?s)worker-2.*fault_null \(faults\.c:\d+\).*null pointer`)
		for name, what := range map[string]string{"log": log, "live": g.GDBAddr()} {
			t.Run(image+"/"+name, func(t *testing.T) {
				out := mustVerb(t, "crash", what, "-e", g.Debug, "--source-map", g.sources)
				if !want.MatchString(out) {
					t.Errorf("want %s:\n%s", want, out)
				}
				var a struct{ Faults []map[string]any }
				fields(t, mustVerb(t, "crash", what, "-e", g.Debug, "--json"), &a)
				if len(a.Faults) != 1 {
					t.Fatalf("%d faults", len(a.Faults))
				}
				f := a.Faults[0]
				for _, key := range []string{"kind", "subkind", "reason", "thread", "address", "registers", "frames", "functions", "fingerprint"} {
					if v, ok := f[key]; !ok || v == nil || v == "" {
						t.Errorf("no %s in %v", key, reflect.ValueOf(f).MapKeys())
					}
				}
			})
		}
		t.Run(image+"/stdin", func(t *testing.T) {
			status, out, errs := verb(t, console, "crash", "-", "-e", g.Debug)
			if status != exitOK || !strings.Contains(out, "fault_null") {
				t.Errorf("status %d: %s%s", status, out, errs)
			}
			status, out, _ = verb(t, "all is well\n", "crash", "-")
			if status != exitOK || out != "no fault report in this log\n" {
				t.Errorf("status %d: %s", status, out)
			}
		})
		g.Kill()
	}
}

func TestSymbolize(t *testing.T) {
	files := imageFiles(t)
	good := files["ukguest-x86_64"]
	nm, err := exec.Command("nm", good).Output()
	if err != nil {
		t.Fatalf("nm (binutils): %v", err)
	}
	m := regexp.MustCompile(`(?m)^0*([0-9a-f]+) T serve$`).FindSubmatch(nm)
	if m == nil {
		t.Fatal("nm knows no serve")
	}
	addr := "0x" + string(m[1])
	line := regexp.MustCompile(`^` + addr + `: serve at /src/guest/app/server\.c:\d+\n$`)
	for _, c := range []struct {
		stdin string
		args  []string
	}{{"", []string{addr}}, {string(m[1]) + "\n\n", nil}} {
		status, out, errs := verb(t, c.stdin, append([]string{"symbolize", "-e", good}, c.args...)...)
		if status != exitOK || !line.MatchString(out) {
			t.Errorf("status %d: %s%s", status, out, errs)
		}
	}
	var a symbolJSON
	mustKeys(t, fields(t, mustVerb(t, "symbolize", "-e", good, "--json", addr), &a), "address", "frames")
	if a.Address != addr || len(a.Frames) != 1 || a.Frames[0].Function != "serve" || a.Frames[0].Line == 0 {
		t.Errorf("%+v", a)
	}
	mustKeys(t, fields(t, mustVerb(t, "symbolize", "-e", good, "--json", "0x10"), &a), "address", "frames", "reason")
	status, out, errs := verb(t, "", "symbolize", "-e", good, "elephant", addr)
	if status != exitFailed || !line.MatchString(out) || errs != "ukdbg: \"elephant\" is no hexadecimal address\n" {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	// A slide is taken off, and put back into what is shown.
	out = mustVerb(t, "symbolize", "-e", good, "--slide", "0x1000000", "0x1"+strings.Repeat("0", 6-len(m[1]))+string(m[1]))
	if !strings.Contains(out, ": serve at ") {
		t.Errorf("with a slide: %s", out)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	if out := mustVerb(t, "version"); out != fmt.Sprintf("ukdbg %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH) {
		t.Errorf("version: %s", out)
	}
	var v map[string]any
	keys := fields(t, mustVerb(t, "version", "--json"), &v)
	if c, _ := v["cache"].(map[string]any); c["path"] != filepath.Join(os.Getenv("UKDBG_CACHE"), "images") || c["error"] != nil {
		t.Errorf("cache: %v", v["cache"])
	}
	for _, k := range []string{"version", "go", "platform"} {
		if !slices.Contains(keys, k) {
			t.Errorf("no %s in %v", k, keys)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := mustVerb(t, "completion", shell); !strings.Contains(out, "ukdbg") || len(out) < 1000 {
			t.Errorf("%s: %.80s", shell, out)
		}
	}
	for _, words := range [][]string{{"help"}, {}, {"attach", "--help"}, {"trace"}} {
		if out := mustVerb(t, words...); !strings.Contains(out, "Usage:") {
			t.Errorf("%q: %s", words, out)
		}
	}
}
