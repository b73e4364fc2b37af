package pprof

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"sort"
	"time"

	"github.com/ukdbg/ukdbg/exporters/wire"
	"github.com/ukdbg/ukdbg/profiler"
)

// Write writes p to w.
func Write(w io.Writer, p *profiler.Profile) error {
	z := gzip.NewWriter(w)
	b := builder{
		w:         z,
		strings:   map[string]uint64{},
		locations: map[locationKey]uint64{},
		functions: map[functionKey]uint64{},
	}
	b.profile(p)
	if err := z.Close(); b.err == nil {
		b.err = err
	}
	if b.err != nil {
		return fmt.Errorf("writing pprof: %w", b.err)
	}
	return nil
}

func comments(p *profiler.Profile) []string {
	if !p.Kind.Sampled() {
		return warnings(p, nil)
	}
	all := []string{
		fmt.Sprintf("guest stopped for %v in all (%.2f %% of %v), longest %v, %d stops",
			p.Pause.Total.Round(time.Microsecond), 100*p.Share(), p.Duration.Round(time.Millisecond),
			p.Pause.Longest.Round(time.Microsecond), p.Pause.Stops),
		fmt.Sprintf("sampled %d times, %d moments of the schedule missed, asked for one every %v, got one every %v",
			p.Ticks, p.Missed, p.Asked, p.Period.Round(time.Microsecond)),
	}
	if p.Source != "" {
		all = append(all, "sampled by "+p.Source)
	}
	if p.Latest > 0 {
		all = append(all, fmt.Sprintf("samples came %v after their moment on average, %v at most", p.Late.Round(time.Microsecond), p.Latest.Round(time.Microsecond)))
	}
	if p.Lost > 0 || p.Outside > 0 {
		all = append(all, fmt.Sprintf("%d samples lost, %d more were the VMM's or the host's own", p.Lost, p.Outside))
	}
	if p.Idle > 0 {
		all = append(all, fmt.Sprintf("idle time without samples: %v", p.Idle.Round(time.Microsecond)))
	}
	if p.Pause.Exits > 0 {
		all = append(all, fmt.Sprintf("the guest's processors left the guest %d times to be looked at", p.Pause.Exits))
	}
	if p.Ended != "" {
		all = append(all, "ended early: "+p.Ended)
	}
	return warnings(p, all)
}

func warnings(p *profiler.Profile, all []string) []string {
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

// builder writes the fields of a Profile message as they come up; in protobuf
// their order is free. Its first failure stays in err.
type builder struct {
	w   io.Writer
	err error

	strings   map[string]uint64 // numbers in the string table
	maps      []mapping         // sorted by start
	locations map[locationKey]uint64
	functions map[functionKey]uint64

	flat bool // no sample has its callers

	ids []uint64 // of the sample at hand
	buf []byte
}

type mapping struct{ id, start, limit uint64 }

// field writes a field of the Profile message that is a message itself.
func (b *builder) field(num int32, message []byte) {
	b.write(wire.AppendBytes(nil, num, message))
}

func (b *builder) number(num int32, v uint64) {
	b.write(wire.AppendVarint(nil, num, v))
}

func (b *builder) write(p []byte) {
	if b.err == nil {
		_, b.err = b.w.Write(p)
	}
}

// str returns the string's number in the table and writes it when it is new.
func (b *builder) str(s string) uint64 {
	n, ok := b.strings[s]
	if !ok {
		n = uint64(len(b.strings))
		b.strings[s] = n
		b.write(wire.AppendString(nil, profileStringTable, s))
	}
	return n
}

func (b *builder) valueType(name, unit string) []byte {
	return wire.AppendVarint(wire.AppendVarint(nil, valueType, b.str(name)), valueUnit, b.str(unit))
}

func (b *builder) profile(p *profiler.Profile) {
	b.flat = p.Flat
	b.str("") // the table's first string must be the empty one
	count, value := p.Kind.Units()
	b.field(profileSampleType, b.valueType(count.Name, count.Unit))
	b.field(profileSampleType, b.valueType(value.Name, value.Unit))
	if p.Kind.Sampled() {
		b.field(profilePeriodType, b.valueType(value.Name, value.Unit))
		b.number(profilePeriod, uint64(p.Period.Nanoseconds()))
	}
	b.number(profileDurationNanos, uint64(p.Duration.Nanoseconds()))
	if !p.Start.IsZero() {
		b.number(profileTimeNanos, uint64(p.Start.UnixNano()))
	}
	for _, text := range comments(p) {
		b.number(profileComment, b.str(text))
	}
	b.mappings(p.Mappings)
	// Stacks of a dump stand for no time: show their number.
	shown := value.Name
	if p.Counted() {
		shown = count.Name
	}
	for i := range p.Samples {
		b.sample(&p.Samples[i])
	}
	b.number(profileDefaultSampleType, b.str(shown))
}

func (b *builder) mappings(ms []profiler.Mapping) {
	for i, m := range ms {
		build := m.BuildID
		if build == "" {
			build = m.ContentHash
		}
		limit := m.Last
		if limit != math.MaxUint64 {
			limit++ // pprof's limit is the first address behind
		}
		id := uint64(i + 1)
		e := wire.AppendVarint(nil, mappingID, id)
		e = wire.AppendVarint(e, mappingStart, m.Start)
		e = wire.AppendVarint(e, mappingLimit, limit)
		e = wire.AppendVarint(e, mappingFilename, b.str(m.File))
		e = wire.AppendVarint(e, mappingBuildID, b.str(build))
		for _, has := range []int32{mappingHasFunctions, mappingHasFilenames, mappingHasLineNumbers, mappingHasInlineFrames} {
			e = wire.AppendVarint(e, has, 1)
		}
		b.field(profileMapping, e)
		b.maps = append(b.maps, mapping{id, m.Start, limit})
	}
	sort.Slice(b.maps, func(i, j int) bool { return b.maps[i].start < b.maps[j].start })
}

// mapping returns the number of the mapping an address lies in, or 0.
func (b *builder) mapping(addr uint64) uint64 {
	i := sort.Search(len(b.maps), func(i int) bool { return b.maps[i].start > addr })
	if i == 0 || addr >= b.maps[i-1].limit && b.maps[i-1].limit != math.MaxUint64 {
		return 0
	}
	return b.maps[i-1].id
}

func (b *builder) sample(s *profiler.Sample) {
	b.ids = b.ids[:0]
	// Inlined frames come before the frame that holds their address.
	for first := 0; first < len(s.Stack); {
		last := first
		for last+1 < len(s.Stack) && s.Stack[last].Inline {
			last++
		}
		b.ids = append(b.ids, b.location(s.Stack[first:last+1], false))
		first = last + 1
	}
	if s.Truncated {
		b.ids = append(b.ids, b.location([]profiler.Frame{{Function: profiler.NotCaptured}}, true))
	}
	e := wire.AppendPacked(b.buf[:0], sampleLocationID, b.ids)
	e = wire.AppendPacked(e, sampleValue, []uint64{uint64(s.Count), uint64(s.Value)})
	if s.CPU != profiler.NoCPU {
		e = b.label(e, "cpu", labelNum, uint64(s.CPU))
	}
	if s.Thread.Known {
		e = b.label(e, "thread", labelStr, b.str(s.Thread.String()))
		e = b.label(e, "thread_id", labelNum, uint64(s.Thread.ID))
	}
	if s.State != "" {
		e = b.label(e, "state", labelStr, b.str(s.State))
	}
	if s.Thread.Idle {
		e = b.label(e, "idle", labelStr, b.str("true"))
	}
	if b.flat {
		e = b.label(e, "stack", labelStr, b.str("flat"))
	}
	if lib := s.Library(); lib != "" {
		e = b.label(e, "library", labelStr, b.str(lib))
	}
	b.field(profileSample, e)
	b.buf = e
}

// label appends a label of the sample e: num is labelStr or labelNum.
func (b *builder) label(e []byte, key string, num int32, v uint64) []byte {
	return wire.AppendBytes(e, sampleLabel, wire.AppendVarint(wire.AppendVarint(nil, labelKey, b.str(key)), num, v))
}

// location returns the number of the location of frames, which are those of one
// address, and writes it when it is new.
func (b *builder) location(frames []profiler.Frame, truncated bool) uint64 {
	frame := frames[len(frames)-1]
	key := locationKey{frame.Address, frame.Guessed, truncated}
	if id, ok := b.locations[key]; ok {
		return id
	}
	id := uint64(len(b.locations) + 1)
	b.locations[key] = id
	e := wire.AppendVarint(nil, locationID, id)
	if m := b.mapping(frame.Address); m != 0 {
		e = wire.AppendVarint(e, locationMappingID, m)
	}
	e = wire.AppendVarint(e, locationAddress, frame.Address)
	for _, f := range frames {
		if f.Function == "" {
			continue // pprof shows the address of a location without lines
		}
		line := wire.AppendVarint(nil, lineFunctionID, b.function(f))
		line = wire.AppendVarint(line, lineLine, uint64(f.Line))
		e = wire.AppendBytes(e, locationLine, line)
	}
	b.field(profileLocation, e)
	return id
}

// function returns the number of the frame's function and writes it when it is
// new.
func (b *builder) function(f profiler.Frame) uint64 {
	name := f.Function
	if f.Guessed {
		name += " (guessed)"
	}
	linkage := f.Linkage
	if linkage == "" {
		linkage = f.Function
	}
	key := functionKey{name, linkage, f.File}
	if id, ok := b.functions[key]; ok {
		return id
	}
	id := uint64(len(b.functions) + 1)
	b.functions[key] = id
	e := wire.AppendVarint(nil, functionID, id)
	e = wire.AppendVarint(e, functionName, b.str(name))
	e = wire.AppendVarint(e, functionSystemName, b.str(linkage))
	e = wire.AppendVarint(e, functionFilename, b.str(f.File))
	b.field(profileFunction, e)
	return id
}
