package pprof

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/profiler"
)

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
	p := written(t, exporttest.Profile())
	if got := p.SampleType; len(got) != 2 || got[0].Type != "samples" || got[0].Unit != "count" || got[1].Type != "cpu" || got[1].Unit != "nanoseconds" {
		t.Errorf("sample types %v", got)
	}
	if p.DefaultSampleType != "cpu" || p.PeriodType.Type != "cpu" || p.Period != 10e6 || p.DurationNanos != 1e9 || p.TimeNanos != 1_700_000_000e9 {
		t.Errorf("shows %s, one every %d %v, from %d for %d", p.DefaultSampleType, p.Period, p.PeriodType, p.TimeNanos, p.DurationNanos)
	}
	if len(p.Sample) != 5 || p.Sample[0].Value[0] != 60 || p.Sample[0].Value[1] != 600e6 {
		t.Fatalf("samples: %v", p.Sample)
	}
	first := p.Sample[0]
	if got := first.Label["thread"]; len(got) != 1 || got[0] != "worker-1" {
		t.Errorf("thread label %q", got)
	}
	if got := p.Sample[1].NumLabel["cpu"]; len(got) != 1 || got[0] != 1 {
		t.Errorf("cpu label %v", got)
	}
	nameless := p.Sample[4]
	if len(nameless.Label["thread"]) != 0 {
		t.Error("a thread that is not known has a label")
	}
	if got := p.Sample[2].NumLabel["cpu"]; len(got) != 0 {
		t.Errorf("a sample of no processor has the label %v", got)
	}
	if got := p.Sample[3].Label; got["idle"] == nil || got["library"][0] != "plat/kvm" || first.Label["state"][0] != "running" || first.Label["stack"] != nil {
		t.Errorf("labels %v and %v", got, first.Label)
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
	if m := nameless.Location[0].Mapping; m == nil || m.BuildID != "5f3c09a1" {
		t.Errorf("an address in the top mapping got %+v", m)
	}
	if f := first.Location[2].Line[0].Function; f.Name != "entry (guessed)" || f.SystemName != "entry" {
		t.Errorf("guessed frame is %q", f.Name)
	}
	if locs := p.Sample[1].Location; len(locs) != 2 || locs[1].Line[0].Function.Name != profiler.NotCaptured {
		t.Error("a truncated stack does not say so")
	}
	text := strings.Join(p.Comments, "\n")
	for _, want := range []string{"15ms in all (1.50 % of 1s), longest 300µs, 100 stops", "2 moments of the schedule missed", "sampled by stub", "60µs after their moment on average, 1.2ms at most", "TCG"} {
		if !strings.Contains(text, want) {
			t.Errorf("comments lack %q:\n%s", want, text)
		}
	}
}

func TestStacksOfADumpAreCounted(t *testing.T) {
	p := exporttest.Profile()
	for i := range p.Samples {
		p.Samples[i].Value = 0
	}
	out := written(t, p)
	if out.DefaultSampleType != "samples" {
		t.Errorf("pprof would show %s, of which there is none", out.DefaultSampleType)
	}
}

// TestFlatSamplesSaySo: what the host's kernel sampled has no callers and says so.
func TestFlatSamplesSaySo(t *testing.T) {
	p := exporttest.Profile()
	p.Flat, p.Source, p.Lost, p.Outside, p.Idle, p.Pause.Exits = true, "perf cpu-clock", 3, 17, 250*time.Millisecond, 95
	out := written(t, p)
	for _, s := range out.Sample {
		if got := s.Label["stack"]; len(got) != 1 || got[0] != "flat" {
			t.Errorf("label %v", got)
		}
	}
	text := strings.Join(out.Comments, "\n")
	for _, want := range []string{"sampled by perf cpu-clock", "3 samples lost, 17 more were the VMM's", "idle time without samples: 250ms", "left the guest 95 times"} {
		if !strings.Contains(text, want) {
			t.Errorf("comments lack %q:\n%s", want, text)
		}
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
	if err := Write(f, exporttest.Profile()); err != nil {
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
		"600ms 60.00% 60.00%      600ms 60.00%  memcpy_fast (inline)",
		"250ms 25.00% 85.00%      850ms 85.00%  ns::worker",
	} {
		if !strings.Contains(strings.Join(strings.Fields(top), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("pprof -top lacks %q:\n%s", want, top)
		}
	}
	raw := tool("-raw")
	for _, want := range []string{
		"samples/count cpu/nanoseconds", "thread:[worker-1]", "0x100000/0x200000", "shop.dbg c0ffee [FN][FL][LN][IN]",
		"memcpy_fast /src/unikraft/lib/nolibc/string.c:41", "serve http.c:131",
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("pprof -raw lacks %q:\n%s", want, raw)
		}
	}
	if comments := tool("-comments"); !strings.Contains(comments, "guest stopped for 15ms") {
		t.Errorf("pprof -comments lacks the pause:\n%s", comments)
	}
}
