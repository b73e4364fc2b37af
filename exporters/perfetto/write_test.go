package perfetto

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// placedInput is a span in short.
type placedInput struct {
	name       string
	thread     int64
	start, end int64
}

func seq(ps []placedInput) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		for i, p := range ps {
			s := exporters.Span{ID: uint64(i + 1), Name: p.name, Start: p.start, End: p.end}
			if p.thread != 0 {
				s.Thread = exporters.Thread{ID: p.thread, Name: fmt.Sprintf("t%d", p.thread), Known: true}
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func TestNestingAsAViewerShowsIt(t *testing.T) {
	// As a pairer yields them: by end, inner before outer, with equal times.
	v := mustWrite(t, []placedInput{
		{"read", 1, 100, 150}, {"read", 1, 150, 200}, {"request", 1, 100, 200},
		{"zero", 1, 200, 200},
		{"lock", 2, 120, 130},
		{"a", 3, 10, 30}, {"b", 3, 20, 40}, // overlap without nesting
		{"lost", 0, 5, 6},
	}, Options{})
	want := map[string]string{
		"request":  "t1 tid 1 100-200 depth 0",
		"read 100": "t1 tid 1 100-150 depth 1",
		"read 150": "t1 tid 1 150-200 depth 1",
		"lock":     "t2 tid 2 120-130 depth 0",
		"a":        "t3 tid 3 10-30 depth 0",
		"b":        "t3 (overlapping 1) 20-40 depth 0",
		"lost":     "thread not known 5-6 depth 0",
	}
	got := map[string]string{}
	for _, s := range v.slices {
		name := s.name
		if name == "read" {
			name += fmt.Sprint(" ", s.start)
		}
		got[name] = fmt.Sprintf("%s %d-%d depth %d", s.track, s.start, s.end, s.depth)
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s is shown as %q, want %q", name, got[name], w)
		}
	}
	if _, ok := got["zero"]; !ok || len(v.slices) != 8 || v.unended != 0 {
		t.Errorf("%d slices, %d without an end: %v", len(v.slices), v.unended, got)
	}
}

func full() exporters.Span {
	return exporters.Span{
		ID: 2, Parent: 1, Root: 1, Name: "vfs_read", Start: 6_000, End: 7_500,
		Thread: exporters.Thread{ID: 4, Name: "worker", Known: true},
		Err:    true, ErrType: "EIO", ErrText: "failed",
		Function: "disk_read", File: "disk.c", Line: 41,
		Attrs: []exporters.Attr{exporters.Int("fd", -3), exporters.Uint("len", 1<<63), exporters.Pointer("buf", 0xffff800000000000),
			exporters.Bool("sync", false), exporters.String("path", "/a\xff\"")},
		Events: []exporters.Event{{Name: "retry", Time: 6_100, Attrs: []exporters.Attr{exporters.Int("n", 1)}}},
	}
}

func pausedClock(t testing.TB) exporters.Clock {
	c, err := exporters.NewClock(
		exporters.Segment{From: 0, Offset: 1_700_000_000_000_000_000},
		exporters.Segment{From: 7_000, Offset: 1_700_000_000_000_000_000 + 1_000_000}) // paused for 1 ms
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEverythingOfASpan(t *testing.T) {
	var buf bytes.Buffer
	stats, err := Write(&buf, exporters.Of(full()), Options{Process: "shop", Clock: pausedClock(t)})
	if err != nil || stats != (Stats{Spans: 1, Instants: 1, Tracks: 1}) {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	v := view(t, buf.Bytes())
	if v.process != "shop" || v.realtime != 1_700_000_000_000_000_000 {
		t.Errorf("process %q, wall time %d", v.process, v.realtime)
	}
	want := slice{track: "worker tid 4", name: "vfs_read", start: 6_000, end: 1_007_500, source: "disk_read disk.c:41",
		args: `fd=-3 len=9223372036854775808 buf=0xffff800000000000 sync=false path="/a` + "\uFFFD" + `\"" error=true error.type="EIO" error.text="failed" `}
	if len(v.slices) != 1 || v.slices[0] != want {
		t.Errorf("shown as\n     %+v\nwant %+v", v.slices, want)
	}
	if len(v.instants) != 1 || v.instants[0].name != "retry" || v.instants[0].start != 6_100 || v.instants[0].args != "n=1 " {
		t.Errorf("instants %+v", v.instants)
	}
}

// TestManyWindows: a trace longer than a window, with more names than are kept.
func TestManyWindows(t *testing.T) {
	const n = window + window/2
	spans := func(yield func(exporters.Span, error) bool) {
		for i := range n {
			if !yield(exporters.Span{ID: uint64(i + 1), Name: fmt.Sprint("n", i), Start: int64(i) * 10, End: int64(i)*10 + 5,
				Thread: exporters.Thread{ID: 1 + int64(i%3), Known: true}}, nil) {
				return
			}
		}
	}
	var buf bytes.Buffer
	stats, err := Write(&buf, spans, Options{})
	if err != nil || stats.Spans != n || stats.Tracks != 3 {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	v := view(t, buf.Bytes())
	for _, s := range v.slices {
		if s.depth != 0 || s.end-s.start != 5 || s.name != fmt.Sprint("n", s.start/10) {
			t.Fatalf("shown as %+v", s)
		}
	}
	if len(v.slices) != n || v.unended != 0 {
		t.Errorf("%d slices of %d, %d without an end", len(v.slices), n, v.unended)
	}
}

// TestHostileThreads: numbers Perfetto cannot hold, and one number for two
// threads.
func TestHostileThreads(t *testing.T) {
	span := func(id uint64, th exporters.Thread) exporters.Span {
		return exporters.Span{ID: id, Name: "x", Start: 1, End: 2, Thread: th}
	}
	var buf bytes.Buffer
	if _, err := Write(&buf, exporters.Of(
		span(1, exporters.Thread{ID: -1 << 63, Known: true}),
		span(2, exporters.Thread{ID: 1 << 40, Name: "big", Known: true}),
		span(3, exporters.Thread{ID: 7, Name: "old", Known: true}),
		span(4, exporters.Thread{ID: 7, Name: "new", Known: true})), Options{}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range view(t, buf.Bytes()).slices {
		seen[s.track] = true
		if s.depth != 0 {
			t.Errorf("%+v", s)
		}
	}
	if len(seen) != 4 || !seen["big"] {
		t.Errorf("tracks %v", seen)
	}
}

func TestChromeJSON(t *testing.T) {
	var buf bytes.Buffer
	stats, err := WriteChrome(&buf, exporters.Of(full()), Options{Process: "shop", Clock: pausedClock(t)})
	if err != nil || stats != (Stats{Spans: 1, Instants: 1, Tracks: 1}) {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	var file struct {
		TraceEvents []struct {
			Name, Ph string
			Ts, Dur  float64
			Tid      int
			Args     map[string]any
		}
	}
	if err := json.Unmarshal(buf.Bytes(), &file); err != nil {
		t.Fatalf("%v in\n%s", err, buf.Bytes())
	}
	var lines []string
	for _, e := range file.TraceEvents {
		lines = append(lines, fmt.Sprintf("%s %s %g+%g tid %d %v", e.Ph, e.Name, e.Ts, e.Dur, e.Tid, e.Args))
	}
	want := []string{
		"M process_name 0+0 tid 0 map[name:shop]",
		"M thread_name 0+0 tid 1 map[name:worker]",
		"X vfs_read 6+1001.5 tid 1 map[buf:0xffff800000000000 error:true error.text:failed error.type:EIO fd:-3 len:9223372036854775808 path:/a\uFFFD\" source:disk_read (disk.c:41) sync:false]",
		"i retry 6.1+0 tid 1 map[n:1]",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestInstantsOfNoSpan(t *testing.T) {
	opt := Options{Instants: func(yield func(exporters.Event, error) bool) {
		_ = yield(exporters.Event{Name: "wakeup", Time: 150, Thread: exporters.Thread{ID: 1, Name: "t1", Known: true}}, nil) &&
			yield(exporters.Event{Name: "boot", Time: 1}, nil)
	}}
	v := mustWrite(t, []placedInput{{"request", 1, 100, 200}}, opt)
	if len(v.instants) != 2 || v.instants[0].track != "thread not known" || v.instants[1].track != "t1 tid 1" || v.instants[1].depth != 1 {
		t.Errorf("instants %+v", v.instants)
	}
	var buf bytes.Buffer
	stats, err := WriteChrome(&buf, seq(nil), opt)
	if err != nil || stats.Instants != 2 || !json.Valid(buf.Bytes()) {
		t.Errorf("chrome: stats %+v, error %v", stats, err)
	}
}

// Counters have tracks of their own, flows lead from cause to effect whatever was
// written first, and processors are told.
func TestCountersFlowsCPUs(t *testing.T) {
	tr := exporttest.Trace(3)
	var buf bytes.Buffer
	opt := Options{Clock: tr.Clock, Instants: tr.Instants, Counters: tr.Counters}
	stats, err := Write(&buf, tr.Spans, opt)
	if err != nil || stats.Counters != 3 {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	v := view(t, buf.Bytes())
	if want := []string{"heap used bytes@1000000=0", "heap used bytes@2000000=4096", "heap used bytes@3000000=8192"}; !slices.Equal(v.counters, want) {
		t.Errorf("counters %q, want %q", v.counters, want)
	}
	if len(v.flows) != 3 || v.flows[11] != "sched_wakeup request_serve " {
		t.Errorf("flows %v", v.flows)
	}
	for _, s := range v.slices {
		if !strings.Contains(s.args, "cpu=0 ") && !strings.Contains(s.args, "cpu=1 ") {
			t.Errorf("%s tells no CPU: %s", s.name, s.args)
		}
	}
	buf.Reset()
	if stats, err = WriteChrome(&buf, tr.Spans, opt); err != nil || stats.Counters != 3 || !json.Valid(buf.Bytes()) ||
		!strings.Contains(buf.String(), `{"name":"heap used (bytes)","ph":"C","ts":2000.000,"pid":1,"tid":0,"args":{"value":4096}}`) {
		t.Errorf("chrome: stats %+v, error %v in\n%s", stats, err, buf.String())
	}
}

func TestManyThreads(t *testing.T) {
	var ps []placedInput
	for i := range maxTracks + 10 {
		ps = append(ps, placedInput{"x", int64(i + 1), int64(i), int64(i + 1)})
	}
	tracks := map[string]bool{}
	v := mustWrite(t, ps, Options{})
	for _, s := range v.slices {
		tracks[s.track] = true
	}
	if len(v.slices) != len(ps) || len(tracks) != maxTracks+1 || !tracks[others.name()] {
		t.Errorf("%d slices on %d tracks", len(v.slices), len(tracks))
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("torn")
	var spans iter.Seq2[exporters.Span, error] = func(yield func(exporters.Span, error) bool) {
		if yield(full(), nil) {
			yield(exporters.Span{}, broken)
		}
	}
	for name, write := range map[string]func(io.Writer, iter.Seq2[exporters.Span, error], Options) (Stats, error){"perfetto": Write, "chrome": WriteChrome} {
		if stats, err := write(&bytes.Buffer{}, spans, Options{}); !errors.Is(err, broken) || stats.Spans != 1 {
			t.Errorf("%s: stats %+v, error %v", name, stats, err)
		}
		if _, err := write(noRoom{}, exporters.Of(full()), Options{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: a full disk gave %v", name, err)
		}
	}
}

// noRoom is a writer with no room.
type noRoom struct{}

func (noRoom) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func BenchmarkWrite(b *testing.B) {
	spans := make([]exporters.Span, 20_000)
	for i := range spans {
		spans[i] = full()
		spans[i].Start += int64(i) * 2000
		spans[i].End += int64(i) * 2000
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(io.Discard, exporters.Of(spans...), Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(spans))*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}
