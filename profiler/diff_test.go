package profiler_test

import (
	"math"
	"testing"

	"github.com/ukdbg/ukdbg/profiler"
)

func shares(counts map[string]int64, scale int64) *profiler.Profile {
	p := &profiler.Profile{Kind: profiler.CPU}
	for name, n := range counts {
		p.Samples = append(p.Samples, profiler.Sample{
			Stack: []profiler.Frame{{Function: name}, {Function: "main"}}, Count: n, Value: n * scale,
		})
	}
	return p
}

// Lengths do not matter, shares do; what is no more than chance says so.
func TestDiff(t *testing.T) {
	before := shares(map[string]int64{"parse": 600, "copy": 390, "rare": 10}, 1000)
	after := shares(map[string]int64{"parse": 800, "copy": 1185, "rare": 15}, 500)
	changes := profiler.Diff(before, after)
	if len(changes) != 4 || changes[0].Name != "copy" && changes[0].Name != "parse" {
		t.Fatalf("%+v", changes)
	}
	for _, c := range changes {
		switch c.Name {
		case "parse":
			if math.Abs(c.Flat[0]-0.6) > 1e-9 || math.Abs(c.Flat[1]-0.4) > 1e-9 || c.P > 1e-6 {
				t.Errorf("%+v", c)
			}
		case "rare":
			// 10 of 1,000 against 15 of 2,000: z = 0.71, p = 0.48.
			if math.Abs(c.P-0.48) > 0.01 {
				t.Errorf("rare is %v by chance", c.P)
			}
		case "main":
			if c.Cum != [2]float64{1, 1} || c.P != 1 {
				t.Errorf("%+v", c)
			}
		}
	}
}

// A recursive function holds a sample once.
func TestFunctions(t *testing.T) {
	f := profiler.Frame{Function: "f"}
	p := &profiler.Profile{Samples: []profiler.Sample{{Stack: []profiler.Frame{f, f, {Function: "main"}}, Count: 4}}}
	got := profiler.Functions(p)
	if len(got) != 2 || got[0] != (profiler.Function{Name: "f", Flat: 4, Cum: 4, FlatCount: 4, CumCount: 4}) || got[1].Cum != 4 || got[1].Flat != 0 {
		t.Errorf("%+v", got)
	}
}
