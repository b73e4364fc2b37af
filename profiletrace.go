package ukdbg

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// TraceProfile makes a profile of a trace's records: what holds memory, by the
// tracepoints of the allocator, or what waited for locks.
type TraceProfile struct {
	kind   profiler.Kind
	allocs *analysis.Allocs
	locks  map[lockWait]*lockSum
	// lost counts waits that were too many to tell apart.
	lost   int64
	guests []*stream.Guest
	slides map[*stream.Guest]uint64
	known  *analysis.Locks
}

// lockWait is what tells waits apart.
type lockWait struct {
	guest  *stream.Guest
	kind   string
	addr   uint64
	thread string
	chain  string
}

type lockSum struct{ count, time uint64 }

// maxLockWaits bounds how many waits are told apart.
const maxLockWaits = 1 << 16

// NewTraceProfile begins a profile of kind Heap or Lock.
func NewTraceProfile(kind profiler.Kind) *TraceProfile {
	return &TraceProfile{
		kind: kind, allocs: analysis.NewAllocs(), known: analysis.NewLocks(), locks: map[lockWait]*lockSum{}, slides: map[*stream.Guest]uint64{},
	}
}

// told reports whether a guest has tracepoints the profile can be made of.
func (t *TraceProfile) told(g *stream.Guest) bool {
	if t.kind == profiler.Heap {
		return t.allocs.Told(g)
	}
	return t.known.Told(g)
}

// TraceLacks says what a profile of kind Heap or Lock would have to be made of and the
// guest's image has not, so that no recording of it, which may stop the guest again
// and again, would be of use. It is empty where a recording may tell.
func (s *Session) TraceLacks(ctx context.Context, kind profiler.Kind) ([]string, error) {
	g, err := s.traceGuest(ctx)
	if err != nil {
		return nil, err
	}
	t := NewTraceProfile(kind)
	if t.told(g) {
		return nil, nil
	}
	t.guests = []*stream.Guest{g}
	return t.Missing(), nil
}

// Visitor takes the records.
func (t *TraceProfile) Visitor() analysis.Visitor {
	note := func(s *analysis.Seen) {
		if _, ok := t.slides[s.Guest]; !ok {
			t.guests = append(t.guests, s.Guest)
		}
		t.slides[s.Guest] = s.Chunk.Head.Slide
	}
	if t.kind == profiler.Heap {
		return analysis.Visitor{Span: t.allocs.Span, Record: func(s *analysis.Seen) error {
			note(s)
			return t.allocs.Record(s)
		}}
	}
	return analysis.Visitor{
		Span: t.span,
		Record: func(s *analysis.Seen) error {
			note(s)
			return t.known.Record(s)
		},
		Gap: func(g *stream.Guest, _ *recording.Lost) error { t.known.Gap(g); return nil },
	}
}

// span takes the time to get a lock.
func (t *TraceProfile) span(s *analysis.Seen, sp *tracebuf.Span) error {
	// A wait whose end may be another's tells nothing.
	if !analysis.IsLock(s.Guest, sp) || sp.AcrossLost {
		return nil
	}
	k := lockWait{guest: s.Guest, kind: sp.Name, addr: sp.Enter.Uint(0), thread: sp.Thread}
	if sp.Enter.Ext != nil {
		k.chain = string(sp.Enter.Ext.Stack)
	}
	sum := t.locks[k]
	if sum == nil {
		if len(t.locks) == maxLockWaits {
			t.lost++
			return nil
		}
		sum = &lockSum{}
		t.locks[k] = sum
	}
	sum.count++
	sum.time += sp.Duration()
	return nil
}

// Missing says what no tracepoint told: the profile has nothing of it.
func (t *TraceProfile) Missing() []string {
	var out []string
	for _, g := range t.guests {
		if t.kind == profiler.Heap {
			out = append(out, t.allocs.Missing(g)...)
		} else {
			out = append(out, t.known.Missing(g)...)
		}
	}
	return out
}

// Profile is what the records add up to. Names come from im, which may be nil.
func (t *TraceProfile) Profile(im *symbolizer.Image, totals *analysis.Totals) *profiler.Profile {
	p := &profiler.Profile{Kind: t.kind}
	for _, g := range totals.Guests {
		p.Duration = max(p.Duration, time.Duration(g.Span()))
	}
	names := traceNames{im: im}
	if len(t.guests) > 0 {
		names.slide = t.slides[t.guests[0]]
	}
	if len(t.guests) > 1 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the trace is of %d guests, all are named by one image", len(t.guests)))
	}
	if t.kind == profiler.Heap {
		t.heap(p, names)
	} else {
		t.lockSamples(p, names)
	}
	for _, m := range t.Missing() {
		p.Warnings = append(p.Warnings, "not known: "+m)
	}
	slices.SortStableFunc(p.Samples, func(a, b profiler.Sample) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(b.Count, a.Count))
	})
	return p
}

func (t *TraceProfile) heap(p *profiler.Profile, names traceNames) {
	chains := t.allocs.Chains()
	for _, c := range chains {
		p.Samples = append(p.Samples, profiler.Sample{
			Stack: names.stack(c.Frames), CPU: profiler.NoCPU, Count: int64(c.Live), Value: int64(c.Bytes),
		})
	}
	if len(chains) == 0 && len(t.allocs.Sizes()) > 0 {
		// Without backtraces sizes are all there is to tell.
		for _, c := range t.allocs.Sizes() {
			if c.Live > 0 {
				p.Samples = append(p.Samples, profiler.Sample{
					Stack: []profiler.Frame{{Function: fmt.Sprintf("[allocations of %d bytes]", c.Size)}},
					CPU:   profiler.NoCPU, Count: int64(c.Live), Value: int64(c.Live * c.Size),
				})
			}
		}
		p.Warnings = append(p.Warnings, "the records have no backtraces: allocations are told apart by size only (uktrace's records have them)")
	}
	if t.allocs.Unknown > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d frees of what was allocated before the trace or unseen", t.allocs.Unknown))
	}
	if t.allocs.Dropped > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d allocations were too many to follow", t.allocs.Dropped))
	}
}

func (t *TraceProfile) lockSamples(p *profiler.Profile, names traceNames) {
	for k, sum := range t.locks {
		s := profiler.Sample{CPU: profiler.NoCPU, Count: int64(sum.count), Value: int64(sum.time), State: "waits for " + names.lock(k)}
		if k.thread != "" {
			s.Thread = profiler.Thread{Name: k.thread, Known: true}
		}
		s.Stack = append(s.Stack, profiler.Frame{Function: "[" + names.lock(k) + "]"})
		if k.chain != "" {
			ext := tracebuf.Ext{Stack: []byte(k.chain)}
			var chain []uint64
			for i := range ext.Depth() {
				chain = append(chain, ext.Frame(i))
			}
			s.Stack = append(s.Stack, names.stack(chain)...)
		}
		p.Samples = append(p.Samples, s)
	}
	if t.lost > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d waits were too many to tell apart", t.lost))
	}
}

// traceNames names the addresses of records.
type traceNames struct {
	im    *symbolizer.Image
	slide uint64
}

// stack names a chain of return addresses, innermost first.
func (n traceNames) stack(chain []uint64) []profiler.Frame {
	var out []profiler.Frame
	for _, ret := range chain {
		addr := ret - 1 // in the call
		frames := []profiler.Frame{{Address: addr}}
		if n.im != nil {
			if locs, err := n.im.Resolve(addr - n.slide); err == nil && len(locs) > 0 {
				frames = locationFrames(addr, locs)
			}
		}
		out = append(out, frames...)
	}
	return out
}

// lock is what a lock is called: its symbol, or its address.
func (n traceNames) lock(k lockWait) string {
	what := fmt.Sprintf("%s %#x", k.kind, k.addr)
	if n.im == nil {
		return what
	}
	if sym, ok := n.im.Symbol(k.addr - n.slide); ok {
		what = k.kind + " " + sym.Name
		if off := k.addr - n.slide - sym.Addr; off != 0 {
			what += fmt.Sprintf("+%#x", off)
		}
	}
	return what
}
