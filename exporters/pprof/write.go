package pprof

import (
	"fmt"
	"io"
	"math"
	"sort"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/profiler"
)

// Write writes p to w.
func Write(w io.Writer, p *profiler.Profile) error {
	out, err := Convert(p)
	if err != nil {
		return err
	}
	if err := out.Write(w); err != nil {
		return fmt.Errorf("writing pprof: %w", err)
	}
	return nil
}

// Convert returns p in the model of google/pprof, for its reports and its web
// pages.
func Convert(p *profiler.Profile) (*profile.Profile, error) {
	b := builder{
		out: &profile.Profile{
			SampleType: []*profile.ValueType{
				{Type: "samples", Unit: "count"},
				{Type: "cpu", Unit: "nanoseconds"},
			},
			DefaultSampleType: "cpu",
			PeriodType:        &profile.ValueType{Type: "cpu", Unit: "nanoseconds"},
			Period:            p.Period.Nanoseconds(),
			DurationNanos:     p.Duration.Nanoseconds(),
			Comments:          comments(p),
		},
		locations: map[locationKey]*profile.Location{},
		functions: map[functionKey]*profile.Function{},
	}
	if !p.Start.IsZero() {
		b.out.TimeNanos = p.Start.UnixNano()
	}
	b.mappings(p.Mappings)
	weighed := false
	for i := range p.Samples {
		b.sample(&p.Samples[i])
		weighed = weighed || p.Samples[i].Weight != 0
	}
	if !weighed {
		// Stacks of a dump stand for no time: show their number.
		b.out.DefaultSampleType = "samples"
	}
	if err := b.out.CheckValid(); err != nil {
		return nil, fmt.Errorf("the profile makes no valid pprof: %w", err)
	}
	return b.out, nil
}

func comments(p *profiler.Profile) []string {
	all := []string{
		fmt.Sprintf("guest stopped for %v in all (%.2f %% of %v), longest %v, %d stops",
			p.Pause.Total.Round(time.Microsecond), 100*p.Share(), p.Duration.Round(time.Millisecond),
			p.Pause.Longest.Round(time.Microsecond), p.Pause.Stops),
		fmt.Sprintf("sampled %d times, %d moments of the schedule missed, asked for one every %v, got one every %v",
			p.Ticks, p.Missed, p.Asked, p.Period.Round(time.Microsecond)),
	}
	if p.Ended != "" {
		all = append(all, "ended early: "+p.Ended)
	}
	for _, w := range p.Warnings {
		all = append(all, "warning: "+w)
	}
	return all
}

// locationKey is what tells two locations apart. The lines belong to it: a
// frame found by scanning is not the same location as one that was unwound.
type locationKey struct {
	address   uint64
	guessed   bool
	truncated bool
}

type functionKey struct{ name, linkage, file string }

type builder struct {
	out       *profile.Profile
	maps      []*profile.Mapping // sorted by Start
	locations map[locationKey]*profile.Location
	functions map[functionKey]*profile.Function
}

func (b *builder) mappings(ms []profiler.Mapping) {
	for i, m := range ms {
		id := m.BuildID
		if id == "" {
			id = m.ContentHash
		}
		limit := m.Last
		if limit != math.MaxUint64 {
			limit++ // pprof's limit is the first address behind
		}
		pm := &profile.Mapping{
			ID: uint64(i + 1), Start: m.Start, Limit: limit, File: m.File, BuildID: id,
			HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true,
		}
		b.out.Mapping = append(b.out.Mapping, pm)
		b.maps = append(b.maps, pm)
	}
	sort.Slice(b.maps, func(i, j int) bool { return b.maps[i].Start < b.maps[j].Start })
}

// mapping returns the mapping an address lies in, or nil.
func (b *builder) mapping(addr uint64) *profile.Mapping {
	i := sort.Search(len(b.maps), func(i int) bool { return b.maps[i].Start > addr })
	if i == 0 || addr >= b.maps[i-1].Limit && b.maps[i-1].Limit != math.MaxUint64 {
		return nil
	}
	return b.maps[i-1]
}

func (b *builder) sample(s *profiler.Sample) {
	out := &profile.Sample{
		Value:    []int64{s.Count, s.Weight.Nanoseconds()},
		NumLabel: map[string][]int64{"cpu": {int64(s.CPU)}},
		NumUnit:  map[string][]string{"cpu": {""}},
	}
	if s.Thread.Known {
		name := s.Thread.Name
		if name == "" {
			name = fmt.Sprintf("thread %d", s.Thread.ID)
		}
		out.Label = map[string][]string{"thread": {name}}
		out.NumLabel["thread_id"] = []int64{s.Thread.ID}
		out.NumUnit["thread_id"] = []string{""}
	}
	// Inlined frames come before the frame that holds their address.
	for first := 0; first < len(s.Stack); {
		last := first
		for last+1 < len(s.Stack) && s.Stack[last].Inline {
			last++
		}
		out.Location = append(out.Location, b.location(s.Stack[first:last+1], false))
		first = last + 1
	}
	if s.Truncated {
		out.Location = append(out.Location, b.location([]profiler.Frame{{Function: notCaptured}}, true))
	}
	b.out.Sample = append(b.out.Sample, out)
}

// notCaptured stands for the callers of a stack that was cut off.
const notCaptured = "[stack not captured further]"

func (b *builder) location(frames []profiler.Frame, truncated bool) *profile.Location {
	frame := frames[len(frames)-1]
	key := locationKey{frame.Address, frame.Guessed, truncated}
	if loc, ok := b.locations[key]; ok {
		return loc
	}
	loc := &profile.Location{
		ID:      uint64(len(b.out.Location) + 1),
		Address: frame.Address,
		Mapping: b.mapping(frame.Address),
	}
	for _, f := range frames {
		if f.Function == "" {
			continue // pprof shows the address of a location without lines
		}
		loc.Line = append(loc.Line, profile.Line{Function: b.function(f), Line: int64(f.Line)})
	}
	b.locations[key] = loc
	b.out.Location = append(b.out.Location, loc)
	return loc
}

func (b *builder) function(f profiler.Frame) *profile.Function {
	name := f.Function
	if f.Guessed {
		name += " (guessed)"
	}
	linkage := f.Linkage
	if linkage == "" {
		linkage = f.Function
	}
	key := functionKey{name, linkage, f.File}
	if fn, ok := b.functions[key]; ok {
		return fn
	}
	fn := &profile.Function{
		ID: uint64(len(b.out.Function) + 1), Name: name, SystemName: linkage, Filename: f.File,
	}
	b.functions[key] = fn
	b.out.Function = append(b.out.Function, fn)
	return fn
}
