package pprof

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/profiler"
)

func sample() *profiler.Profile {
	hot := profiler.Frame{Address: 0x101234, Function: "memcpy_fast", File: "lib/string.c", Line: 41, Inline: true}
	holder := profiler.Frame{Address: 0x101234, Function: "serve", File: "http.c", Line: 131}
	caller := profiler.Frame{Address: 0x102000, Function: "ns::worker<int>", Linkage: "_ZN2ns6workerIiEEvv", File: "worker.cc", Line: 60}
	guessed := profiler.Frame{Address: 0x103000, Function: "entry", File: "entry.c", Line: 7, Guessed: true}
	nameless := profiler.Frame{Address: 0xffff800000001000}
	worker := profiler.Thread{ID: 3, Name: "worker-1", Known: true}
	return &profiler.Profile{
		Samples: []profiler.Sample{
			{Stack: []profiler.Frame{hot, holder, caller, guessed}, Thread: worker, CPU: 0, Count: 70, Value: 700 * 1e6},
			{Stack: []profiler.Frame{caller}, Thread: worker, CPU: 1, Count: 20, Value: 200 * 1e6, Truncated: true},
			{Stack: []profiler.Frame{nameless}, CPU: 1, Count: 10, Value: 100 * 1e6},
		},
		Mappings: []profiler.Mapping{
			{File: "shop.dbg", BuildID: "c0ffee", Start: 0x100000, Last: 0x1fffff},
			{File: "high", ContentHash: "5f3c09a1", Start: 0xffff800000000000, Last: math.MaxUint64},
		},
		Start: time.Unix(1_700_000_000, 0), Duration: time.Second, Period: 10 * time.Millisecond, Asked: 10 * time.Millisecond,
		Ticks: 100, Missed: 2,
		Pause:    profiler.Pause{Total: 15 * time.Millisecond, Longest: 300 * time.Microsecond, Stops: 100},
		Warnings: []string{profiler.BiasWarning},
	}
}

// written is p as google/pprof reads it back.
func written(t *testing.T, p *profiler.Profile) *profile.Profile {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, p); err != nil {
		t.Fatal(err)
	}
	out, err := profile.ParseData(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := out.CheckValid(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	p := written(t, sample())
	if got := p.SampleType; len(got) != 2 || got[0].Type != "samples" || got[0].Unit != "count" || got[1].Type != "cpu" || got[1].Unit != "nanoseconds" {
		t.Errorf("sample types %v", got)
	}
	if p.DefaultSampleType != "cpu" || p.PeriodType.Type != "cpu" || p.Period != 10e6 || p.DurationNanos != 1e9 || p.TimeNanos != 1_700_000_000e9 {
		t.Errorf("shows %s, one every %d %v, from %d for %d", p.DefaultSampleType, p.Period, p.PeriodType, p.TimeNanos, p.DurationNanos)
	}
	if len(p.Sample) != 3 || p.Sample[0].Value[0] != 70 || p.Sample[0].Value[1] != 700e6 {
		t.Fatalf("samples: %v", p.Sample)
	}
	first := p.Sample[0]
	if got := first.Label["thread"]; len(got) != 1 || got[0] != "worker-1" {
		t.Errorf("thread label %q", got)
	}
	if got := p.Sample[1].NumLabel["cpu"]; len(got) != 1 || got[0] != 1 {
		t.Errorf("cpu label %v", got)
	}
	if len(p.Sample[2].Label["thread"]) != 0 {
		t.Error("a thread that is not known has a label")
	}
	if got := first.NumLabel["thread_id"]; len(got) != 1 || got[0] != 3 {
		t.Errorf("thread_id label %v", got)
	}
	leaf := first.Location[0]
	if len(first.Location) != 3 || len(leaf.Line) != 2 || leaf.Line[0].Function.Name != "memcpy_fast" || leaf.Line[1].Function.Name != "serve" {
		t.Errorf("inlined frames: %+v", leaf)
	}
	if leaf.Mapping == nil || leaf.Mapping.BuildID != "c0ffee" || leaf.Mapping.Limit != 0x200000 {
		t.Errorf("mapping %+v", leaf.Mapping)
	}
	if m := p.Sample[2].Location[0].Mapping; m == nil || m.BuildID != "5f3c09a1" {
		t.Errorf("an address in the top mapping got %+v", m)
	}
	if f := first.Location[2].Line[0].Function; f.Name != "entry (guessed)" || f.SystemName != "entry" {
		t.Errorf("guessed frame is %q", f.Name)
	}
	if locs := p.Sample[1].Location; len(locs) != 2 || locs[1].Line[0].Function.Name != profiler.NotCaptured {
		t.Error("a truncated stack does not say so")
	}
	text := strings.Join(p.Comments, "\n")
	for _, want := range []string{"15ms in all (1.50 % of 1s), longest 300µs, 100 stops", "2 moments of the schedule missed", "TCG"} {
		if !strings.Contains(text, want) {
			t.Errorf("comments lack %q:\n%s", want, text)
		}
	}
}

func TestStacksOfADumpAreCounted(t *testing.T) {
	p := sample()
	for i := range p.Samples {
		p.Samples[i].Value = 0
	}
	out := written(t, p)
	if out.DefaultSampleType != "samples" {
		t.Errorf("pprof would show %s, of which there is none", out.DefaultSampleType)
	}
}

// TestGoToolPprof opens a written profile with the tool people use.
func TestGoToolPprof(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cpu.pb.gz")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(f, sample()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	tool := func(args ...string) string {
		cmd := exec.Command("go", append([]string{"tool", "pprof", "-symbolize=none"}, append(args, file)...)...)
		cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go tool pprof %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	top := tool("-top")
	for _, want := range []string{
		"Type: cpu", "Duration: 1s, Total samples = 1000ms ( 100%)",
		"700ms 70.00% 70.00%      700ms 70.00%  memcpy_fast (inline)",
		"200ms 20.00% 90.00%      900ms 90.00%  ns::worker",
	} {
		if !strings.Contains(strings.Join(strings.Fields(top), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("pprof -top lacks %q:\n%s", want, top)
		}
	}
	raw := tool("-raw")
	for _, want := range []string{
		"samples/count cpu/nanoseconds", "thread:[worker-1]", "0x100000/0x200000", "shop.dbg c0ffee [FN][FL][LN][IN]",
		"memcpy_fast lib/string.c:41", "serve http.c:131",
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("pprof -raw lacks %q:\n%s", want, raw)
		}
	}
	if comments := tool("-comments"); !strings.Contains(comments, "guest stopped for 15ms") {
		t.Errorf("pprof -comments lacks the pause:\n%s", comments)
	}
}
