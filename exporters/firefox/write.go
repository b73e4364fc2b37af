package firefox

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
)

// version is the processed profile's; the viewer brings it up to its own.
const version = 60

// The categories of frames, by their place in meta.categories.
const (
	categoryOther = iota // the default, which must be grey
	categoryApp
	categoryKernel
	categoryIdle
)

type category struct {
	Name          string   `json:"name"`
	Color         string   `json:"color"`
	Subcategories []string `json:"subcategories"`
}

// Write writes p. name is what the profile is called.
func Write(w io.Writer, p *profiler.Profile, name string) error {
	t := newTables()
	count, value := p.Kind.Units()
	u := unit{weight: "samples", scale: 1}
	switch {
	case p.Counted():
	case value.Unit == "bytes":
		u = unit{weight: "bytes", scale: 1, values: true}
	default:
		u = unit{weight: "tracing-ms", scale: float64(time.Millisecond), values: true}
	}
	threads := t.threads(p, u)
	interval := max(float64(p.Period)/float64(time.Millisecond), 1e-3)
	start := 0.0
	if !p.Start.IsZero() {
		start = float64(p.Start.UnixNano()) / 1e6
	}
	out := map[string]any{
		"meta": map[string]any{
			"interval": interval, "startTime": start, "processType": 0, "product": name, "stackwalk": 1,
			"version": 31, "preprocessedProfileVersion": version, "symbolicated": true, "debug": false,
			"importedFrom": "ukdbg", "arguments": strings.Join([]string{string(p.Kind), count.Name, value.Name}, " "),
			"markerSchema": []any{}, "usesOnlyOneStackType": true, "sourceCodeIsNotOnSearchfox": true,
			"categories": []category{
				{"Other", "grey", []string{"Other"}}, {"Application", "yellow", []string{"Other"}},
				{"Kernel", "orange", []string{"Other"}}, {"Idle", "transparent", []string{"Other"}},
			},
		},
		"libs": []any{},
		"shared": map[string]any{
			"stringArray": t.strings.list, "sources": t.sources, "stackTable": t.stacks, "frameTable": t.frames, "funcTable": t.funcs,
			"resourceTable": map[string]any{"length": 0, "lib": []any{}, "name": []any{}, "host": []any{}, "type": []any{}},
			"nativeSymbols": map[string]any{"length": 0, "libIndex": []any{}, "address": []any{}, "name": []any{}, "functionSize": []any{}},
		},
		"threads": threads,
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("writing a Firefox profile: %w", err)
	}
	return nil
}

// unit is what a sample weighs.
type unit struct {
	weight string
	scale  float64
	values bool
}

func (u unit) of(s *profiler.Sample) float64 {
	if u.values {
		return float64(s.Value) / u.scale
	}
	return float64(s.Count)
}

// threads returns a thread for each of the guest's. A sample's time is the sum of
// what those before it weigh.
func (t *tables) threads(p *profiler.Profile, u unit) []map[string]any {
	type samples struct {
		Stack      []*int    `json:"stack"`
		Time       []float64 `json:"time"`
		Weight     []float64 `json:"weight"`
		WeightType string    `json:"weightType"`
		Length     int       `json:"length"`
	}
	type thread struct {
		who     profiler.Thread
		now     float64
		samples samples
	}
	at := map[profiler.Thread]*thread{}
	var order []*thread
	for i := range p.Samples {
		s := &p.Samples[i]
		th := at[s.Thread]
		if th == nil {
			th = &thread{who: s.Thread, samples: samples{WeightType: u.weight}}
			at[s.Thread] = th
			order = append(order, th)
		}
		weight := u.of(s)
		th.samples.Stack = append(th.samples.Stack, t.stack(s))
		th.samples.Time = append(th.samples.Time, th.now)
		th.samples.Weight = append(th.samples.Weight, weight)
		th.samples.Length++
		if u.weight == "tracing-ms" {
			th.now += weight
		} else {
			th.now++
		}
	}
	out := make([]map[string]any, 0, len(order))
	for i, th := range order {
		name := th.who.String()
		if name == "" {
			name = "threads not told apart"
		}
		out = append(out, map[string]any{
			"processType": "default", "processName": "guest", "processStartupTime": 0, "processShutdownTime": nil,
			"registerTime": 0, "unregisterTime": nil, "pausedRanges": []any{}, "name": name, "isMainThread": i == 0,
			"pid": "1", "tid": th.who.ID, "samples": th.samples,
			"markers": map[string]any{"data": []any{}, "name": []any{}, "startTime": []any{}, "endTime": []any{}, "phase": []any{}, "category": []any{}, "length": 0},
		})
	}
	return out
}
