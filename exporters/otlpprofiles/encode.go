package otlpprofiles

import (
	"crypto/rand"
	"math"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/wire"
	"github.com/ukdbg/ukdbg/profiler"
)

// ScopeName is the instrumentation scope of the profiles.
const ScopeName = "github.com/ukdbg/ukdbg/profiler"

// Options say whose profile it is.
type Options struct {
	// Resource is the guest.
	Resource otlp.Resource
	// Version is that of the program, "" to tell none.
	Version string
}

// Batch returns p for an otlp.Sender.
func Batch(p *profiler.Profile, opt Options) delivery.Batch {
	items := 1
	if valued(p) {
		items = 2
	}
	return delivery.Batch{Signal: delivery.Profiles, Items: items, Payload: Encode(p, opt)}
}

// valued reports whether samples have a value besides their number.
func valued(p *profiler.Profile) bool {
	return slices.ContainsFunc(p.Samples, func(s profiler.Sample) bool { return s.Value != 0 })
}

// Encode returns p as a ProfilesData message: one profile for the number of
// samples, and one for their values unless all are 0.
func Encode(p *profiler.Profile, opt Options) []byte {
	e := newEncoder()
	mappings := e.mappings(p.Mappings)
	type line struct {
		stack      uint64
		attributes []uint64
		sample     *profiler.Sample
	}
	lines := make([]line, 0, len(p.Samples))
	for i := range p.Samples {
		s := &p.Samples[i]
		lines = append(lines, line{e.stack(s, mappings), e.attributes(s), s})
	}
	count, value := p.Kind.Units()
	profile := func(unit profiler.Unit, of func(*profiler.Sample) int64) []byte {
		id := make([]byte, 16)
		rand.Read(id) // never fails
		b := wire.AppendBytes(nil, profileSampleType, e.unit(unit))
		for _, l := range lines {
			m := wire.AppendVarint(nil, sampleStack, l.stack)
			m = wire.AppendPacked(m, sampleAttributes, l.attributes)
			m = wire.AppendPacked(m, sampleValues, []uint64{uint64(of(l.sample))})
			b = wire.AppendBytes(b, profileSamples, m)
		}
		if !p.Start.IsZero() {
			b = wire.AppendFixed64(b, profileTime, uint64(p.Start.UnixNano()))
		}
		b = wire.AppendVarint(b, profileDuration, uint64(max(p.Duration, 0)))
		if p.Kind.Sampled() {
			b = wire.AppendBytes(b, profilePeriodType, e.unit(value))
			b = wire.AppendVarint(b, profilePeriod, uint64(max(p.Period, 0)))
		}
		return wire.AppendBytes(b, profileID, id)
	}
	scope := wire.AppendString(nil, scopeName, ScopeName)
	if opt.Version != "" {
		scope = wire.AppendString(scope, scopeVersion, opt.Version)
	}
	scopes := wire.AppendBytes(nil, scopeScope, scope)
	scopes = wire.AppendBytes(scopes, scopeProfiles, profile(count, func(s *profiler.Sample) int64 { return s.Count }))
	if valued(p) {
		scopes = wire.AppendBytes(scopes, scopeProfiles, profile(value, func(s *profiler.Sample) int64 { return s.Value }))
	}
	resource := wire.AppendBytes(nil, resourceResource, opt.Resource.Append(nil))
	resource = wire.AppendBytes(resource, resourceScopes, scopes)
	out := wire.AppendBytes(nil, dataResourceProfiles, resource)
	return wire.AppendBytes(out, dataDictionary, e.dictionary())
}

// encoder fills the dictionary.
type encoder struct {
	strings    table
	attribute  table
	function   table
	location   table
	stackTable table
	mapping    [][]byte
}

func newEncoder() *encoder {
	e := &encoder{mapping: [][]byte{nil}}
	for _, t := range []*table{&e.strings, &e.attribute, &e.function, &e.location, &e.stackTable} {
		t.number(nil) // the zero value
	}
	return e
}

// table numbers messages, or strings, by their bytes.
type table struct {
	index   map[string]uint64
	entries [][]byte
}

func (t *table) number(entry []byte) uint64 {
	n, ok := t.index[string(entry)]
	if !ok {
		if t.index == nil {
			t.index = map[string]uint64{}
		}
		n = uint64(len(t.entries))
		t.index[string(entry)] = n
		t.entries = append(t.entries, entry)
	}
	return n
}

func (e *encoder) str(s string) uint64 {
	return e.strings.number([]byte(strings.ToValidUTF8(s, "\uFFFD")))
}

func (e *encoder) unit(u profiler.Unit) []byte {
	return wire.AppendVarint(wire.AppendVarint(nil, valueType, e.str(u.Name)), valueUnit, e.str(u.Unit))
}

// text returns the number of an attribute that is a string.
func (e *encoder) text(key, value string) uint64 {
	v := wire.AppendString(nil, anyString, strings.ToValidUTF8(value, "\uFFFD"))
	return e.attribute.number(wire.AppendBytes(wire.AppendVarint(nil, attributeKey, e.str(key)), attributeValue, v))
}

func (e *encoder) integer(key string, value int64) uint64 {
	v := wire.AppendVarint(nil, anyInt, uint64(value))
	return e.attribute.number(wire.AppendBytes(wire.AppendVarint(nil, attributeKey, e.str(key)), attributeValue, v))
}

// mappings fills the table of mappings and returns what tells the one of an
// address.
func (e *encoder) mappings(ms []profiler.Mapping) func(addr uint64) uint64 {
	for _, m := range ms {
		limit := m.Last
		if limit != math.MaxUint64 {
			limit++ // the first address behind
		}
		b := wire.AppendVarint(nil, mappingStart, m.Start)
		b = wire.AppendVarint(b, mappingLimit, limit)
		b = wire.AppendVarint(b, mappingFilename, e.str(m.File))
		var ids []uint64
		if m.BuildID != "" {
			ids = append(ids, e.text("process.executable.build_id.gnu", m.BuildID))
		}
		if m.ContentHash != "" {
			ids = append(ids, e.text("process.executable.build_id.htlhash", m.ContentHash))
		}
		e.mapping = append(e.mapping, wire.AppendPacked(b, mappingAttributes, ids))
	}
	return func(addr uint64) uint64 {
		for i, m := range ms {
			if addr >= m.Start && addr <= m.Last {
				return uint64(i + 1)
			}
		}
		return 0
	}
}

// stack returns the number of a sample's stack.
func (e *encoder) stack(s *profiler.Sample, mapping func(uint64) uint64) uint64 {
	var ids []uint64
	// Inlined frames come before the frame that holds their address.
	for first := 0; first < len(s.Stack); {
		last := first
		for last+1 < len(s.Stack) && s.Stack[last].Inline {
			last++
		}
		ids = append(ids, e.frames(s.Stack[first:last+1], mapping))
		first = last + 1
	}
	if s.Truncated {
		ids = append(ids, e.frames([]profiler.Frame{{Function: profiler.NotCaptured}}, mapping))
	}
	if len(ids) == 0 {
		return 0
	}
	return e.stackTable.number(wire.AppendPacked(nil, stackLocations, ids))
}

// frames returns the number of the location of frames, which are those of one
// address.
func (e *encoder) frames(frames []profiler.Frame, mapping func(uint64) uint64) uint64 {
	addr := frames[len(frames)-1].Address
	b := wire.AppendVarint(nil, locationMapping, mapping(addr))
	b = wire.AppendVarint(b, locationAddress, addr)
	for _, f := range frames {
		if f.Function == "" {
			continue
		}
		fn := wire.AppendVarint(nil, functionName, e.str(f.String()))
		fn = wire.AppendVarint(fn, functionSystem, e.str(f.Linkage))
		fn = wire.AppendVarint(fn, functionFile, e.str(f.File))
		line := wire.AppendVarint(nil, lineFunction, e.function.number(fn))
		line = wire.AppendVarint(line, lineLine, uint64(max(f.Line, 0)))
		b = wire.AppendBytes(b, locationLines, line)
	}
	return e.location.number(b)
}

// attributes returns the numbers of what tells a sample from others of its
// stack.
func (e *encoder) attributes(s *profiler.Sample) []uint64 {
	var ids []uint64
	if s.Thread.Known {
		ids = append(ids, e.integer("thread.id", s.Thread.ID), e.text("thread.name", s.Thread.String()))
	}
	if s.CPU != profiler.NoCPU {
		ids = append(ids, e.integer("cpu.logical_number", int64(s.CPU)))
	}
	if s.State != "" {
		ids = append(ids, e.text("ukdbg.thread.state", s.State))
	}
	if s.Thread.Idle {
		ids = append(ids, e.text("ukdbg.idle", "true"))
	}
	if lib := s.Library(); lib != "" {
		ids = append(ids, e.text("ukdbg.library", lib))
	}
	return ids
}

func (e *encoder) dictionary() []byte {
	var b []byte
	table := func(num int32, entries [][]byte) {
		for _, entry := range entries {
			b = wire.AppendBytes(b, num, entry)
		}
	}
	table(dictMappings, e.mapping)
	table(dictLocations, e.location.entries)
	table(dictFunctions, e.function.entries)
	table(dictLinks, [][]byte{nil})
	table(dictStrings, e.strings.entries)
	table(dictAttributes, e.attribute.entries)
	table(dictStacks, e.stackTable.entries)
	return b
}
