package speedscope_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ukdbg/ukdbg/exporters/speedscope"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// The file is what speedscope's schema asks for: every stack names frames that are
// there, weights are as many as samples, and each profile spans their sum.
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := speedscope.Write(&b, exporttest.Profile(), "shop"); err != nil {
		t.Fatal(err)
	}
	var f struct {
		Schema string `json:"$schema"`
		Shared struct {
			Frames []struct {
				Name string
				File string
				Line int
			}
		}
		Profiles []struct {
			Type, Name, Unit     string
			StartValue, EndValue int64
			Samples              [][]int
			Weights              []int64
		}
	}
	if err := json.Unmarshal(b.Bytes(), &f); err != nil {
		t.Fatal(err)
	}
	if f.Schema != "https://www.speedscope.app/file-format-schema.json" || len(f.Profiles) != 4 {
		t.Fatalf("%s, %d profiles", f.Schema, len(f.Profiles))
	}
	var all int64
	for _, p := range f.Profiles {
		var sum int64
		for i, s := range p.Samples {
			sum += p.Weights[i]
			for _, n := range s {
				if n < 0 || n >= len(f.Shared.Frames) {
					t.Fatalf("frame %d of %d", n, len(f.Shared.Frames))
				}
			}
		}
		if p.Type != "sampled" || p.Unit != "nanoseconds" || p.StartValue != 0 || p.EndValue != sum || len(p.Samples) != len(p.Weights) {
			t.Errorf("%+v", p)
		}
		all += sum
	}
	if all != 1e9 {
		t.Errorf("%d ns in all", all)
	}
	// Outermost first.
	names := ""
	for _, n := range f.Profiles[0].Samples[0] {
		names += f.Shared.Frames[n].Name + ";"
	}
	if names != "entry (guessed);ns::worker<int>;serve;memcpy_fast;" {
		t.Errorf("stack %s", names)
	}
}
