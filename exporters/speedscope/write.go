package speedscope

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg/profiler"
)

type file struct {
	Schema   string    `json:"$schema"`
	Name     string    `json:"name"`
	Exporter string    `json:"exporter"`
	Shared   shared    `json:"shared"`
	Profiles []profile `json:"profiles"`
}

type shared struct {
	Frames []frame `json:"frames"`
}

type frame struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

type profile struct {
	Type    string  `json:"type"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Start   int64   `json:"startValue"`
	End     int64   `json:"endValue"`
	Samples [][]int `json:"samples"`
	Weights []int64 `json:"weights"`
}

// Write writes p. name is what the file is called.
func Write(w io.Writer, p *profiler.Profile, name string) error {
	f := file{Schema: "https://www.speedscope.app/file-format-schema.json", Name: name, Exporter: "ukdbg",
		Shared: shared{Frames: []frame{}}, Profiles: []profile{}}
	frames := map[frame]int{}
	number := func(fr frame) int {
		n, ok := frames[fr]
		if !ok {
			n = len(f.Shared.Frames)
			frames[fr] = n
			f.Shared.Frames = append(f.Shared.Frames, fr)
		}
		return n
	}
	threads := map[profiler.Thread]int{}
	_, value := p.Kind.Units()
	unit := value.Unit
	if p.Counted() {
		unit = "none"
	}
	for i := range p.Samples {
		s := &p.Samples[i]
		at, ok := threads[s.Thread]
		if !ok {
			at = len(f.Profiles)
			threads[s.Thread] = at
			name := s.Thread.String()
			if name == "" {
				name = "threads not told apart"
			}
			f.Profiles = append(f.Profiles, profile{Type: "sampled", Name: name, Unit: unit})
		}
		var stack []int
		if s.Truncated {
			stack = append(stack, number(frame{Name: profiler.NotCaptured}))
		}
		for j := len(s.Stack) - 1; j >= 0; j-- {
			fr := s.Stack[j]
			stack = append(stack, number(frame{fr.String(), fr.File, fr.Line}))
		}
		weight := s.Value
		if unit == "none" {
			weight = s.Count
		}
		pr := &f.Profiles[at]
		pr.Samples = append(pr.Samples, stack)
		pr.Weights = append(pr.Weights, weight)
		pr.End += weight
	}
	if err := json.NewEncoder(w).Encode(f); err != nil {
		return fmt.Errorf("writing speedscope's JSON: %w", err)
	}
	return nil
}
