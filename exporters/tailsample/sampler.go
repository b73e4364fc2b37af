package tailsample

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
)

// Policy says which traces are kept.
type Policy struct {
	// Slow keeps traces that took as long or longer; 0 those that took longer than
	// 99 % of the traces of the same operation lately; negative none because of that.
	Slow time.Duration
	// Errors keeps traces with a failed span.
	Errors bool
	// Keep is the part of the others that is kept, from 0 to 1.
	Keep float64
}

// ReasonKey is the attribute of a trace's outermost span that says why it is kept:
// "failed", "slow" or "sampled".
const ReasonKey = "ukdbg.sampling.reason"

// Stats count what was decided upon.
type Stats struct {
	// Seen is all spans, Kept those that were handed out.
	Seen, Kept uint64
	// Sampled spans were left out by the policy, Budget for want of budget.
	Sampled, Budget uint64
	// Failed, Slow and Others are the traces kept, by reason; Unfinished are those
	// decided upon before their end, kept or not, Crowded of them because the room was
	// full and this guest had most in it.
	Failed, Slow, Others, Unfinished, Crowded uint64
}

// Limits of what waits for the end of its trace.
const (
	maxTrace = 5000  // spans of one trace
	maxWait  = 20000 // spans of one guest
	patience = time.Minute
)

// Sampler chooses of the traces of one run of a guest. It is safe for concurrent use.
type Sampler struct {
	room     *Room // whose lock is ours
	policy   Policy
	budget   *Budget
	instance string
	stats    Stats
	ops      operations

	waiting map[uint64]*trace
	order   []uint64 // of those that wait, by when they were first seen
	spans   int      // that wait
	bytes   int64    // of them
	settled settled
	// ready is what was decided upon on behalf of other guests, and is kept.
	ready []exporters.Span
}

// trace is what waits of one.
type trace struct {
	since       time.Time
	spans       []exporters.Span
	bytes       int64
	failed      bool
	first, last int64
}

// New makes a sampler; the budget may be nil for none, and the room for one that has no
// end. The instance is that of the identifiers, otlp.Resource.InstanceID.
func New(p Policy, b *Budget, room *Room, instance string) *Sampler {
	if room == nil {
		room = NewRoom(math.MaxInt64)
	}
	return &Sampler{policy: p, budget: b, room: room, instance: instance, waiting: map[uint64]*trace{}}
}

// Use puts another policy and budget in force.
func (s *Sampler) Use(p Policy, b *Budget) {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.policy, s.budget = p, b
}

// Restart forgets what waits and begins another run: the guest was set back, and
// nothing of it will end.
func (s *Sampler) Restart(instance string) {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.instance = instance
	s.stats.Sampled += uint64(s.spans)
	s.stats.Unfinished += uint64(len(s.order))
	s.room.hold(s, -s.spans, -s.bytes)
	s.waiting, s.order, s.settled = map[uint64]*trace{}, nil, settled{}
}

// Stats tells what became of the spans.
func (s *Sampler) Stats() Stats {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	return s.stats
}

// Add takes spans in order of their ends and returns those to send: the spans of a
// trace follow one another, its outermost last. Spans are copied where they are kept
// longer.
func (s *Sampler) Add(now time.Time, spans []exporters.Span) []exporters.Span {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	out := s.taken()
	for i := range spans {
		out = s.take(out, now, &spans[i])
	}
	for len(s.order) > 0 && now.Sub(s.waiting[s.order[0]].since) > patience {
		out = s.giveUp(out, now, s.order[0])
	}
	return out
}

// Flush decides upon all that waits: the guest is gone.
func (s *Sampler) Flush(now time.Time) []exporters.Span {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	out := s.taken()
	for len(s.order) > 0 {
		out = s.giveUp(out, now, s.order[0])
	}
	return out
}

// taken is what was decided upon since the last time.
func (s *Sampler) taken() []exporters.Span {
	out := s.ready
	s.ready = nil
	return out
}

// take counts a span, and decides upon its trace if that is possible or needed.
func (s *Sampler) take(out []exporters.Span, now time.Time, sp *exporters.Span) []exporters.Span {
	s.stats.Seen++
	root := sp.Root
	if root == 0 {
		root = sp.ID
	}
	op := s.ops.of(sp.Name)
	op.count(sp)
	why, late := s.settled.of(root)
	switch {
	case late: // the trace was decided upon before
		if kept, why := s.afford(now, why, 1); kept {
			return append(out, told(sp, root, why))
		}
		return out
	case root == sp.ID:
		return s.end(out, now, sp, op)
	}
	s.hold(now, root, sp)
	if len(s.waiting[root].spans) >= maxTrace {
		out = s.giveUp(out, now, root)
	}
	if s.spans > maxWait {
		out = s.giveUp(out, now, s.order[0])
	}
	for s.room.bytes > s.room.most {
		// Who holds most gives up its oldest trace, be it another guest.
		who := s.room.fullest()
		who.stats.Crowded++
		if who == s {
			out = s.giveUp(out, now, s.order[0])
		} else {
			who.ready = who.giveUp(who.ready, now, who.order[0])
		}
	}
	return out
}

// hold lets a span wait for the end of its trace.
func (s *Sampler) hold(now time.Time, root uint64, sp *exporters.Span) {
	t := s.waiting[root]
	if t == nil {
		t = &trace{since: now, first: sp.Start, last: sp.End}
		s.waiting[root] = t
		s.order = append(s.order, root)
	}
	t.spans = append(t.spans, *sp)
	t.failed = t.failed || sp.Err
	t.first, t.last = min(t.first, sp.Start), max(t.last, sp.End)
	size := sizeOf(sp)
	t.bytes += size
	s.room.hold(s, 1, size)
}

// end decides upon a trace whose outermost span came.
func (s *Sampler) end(out []exporters.Span, now time.Time, sp *exporters.Span, op *operation) []exporters.Span {
	t := s.drop(sp.ID)
	took := max(sp.End-sp.Start, 0)
	slow := op.slow(took)
	if limit := s.policy.Slow; limit != 0 {
		slow = limit > 0 && took >= int64(limit)
	}
	if sp.AcrossLost {
		slow = false
	} else {
		op.lasted(took)
	}
	kept, why := s.afford(now, s.reason(sp.ID, t.failed || sp.Err, slow), len(t.spans)+1)
	if !kept {
		return out
	}
	s.countTrace(why)
	return append(append(out, t.spans...), told(sp, sp.ID, why))
}

// giveUp decides upon a trace whose end did not come.
func (s *Sampler) giveUp(out []exporters.Span, now time.Time, root uint64) []exporters.Span {
	t := s.drop(root)
	s.stats.Unfinished++
	slow := s.policy.Slow > 0 && t.last-t.first >= int64(s.policy.Slow)
	kept, why := s.afford(now, s.reason(root, t.failed, slow), len(t.spans))
	s.settled.add(root, why)
	if !kept {
		return out
	}
	s.countTrace(why)
	return append(out, t.spans...)
}

// reason is why a trace is kept, or that it is not.
type reason uint8

const (
	leftOut reason = iota
	noBudget
	failed
	slowly
	sampled
)

func (r reason) String() string {
	return [...]string{leftOut: "left out", noBudget: "no budget", failed: "failed", slowly: "slow", sampled: "sampled"}[r]
}

func (s *Sampler) reason(root uint64, bad, slow bool) reason {
	switch {
	case bad && s.policy.Errors:
		return failed
	case slow:
		return slowly
	case s.chosen(root):
		return sampled
	}
	return leftOut
}

// chosen reports whether a trace is of the part that is kept of the rest, by the 56
// last bits of its identifier.
func (s *Sampler) chosen(root uint64) bool {
	const all = 1 << 56
	least := uint64(math.Ceil((1 - min(max(s.policy.Keep, 0), 1)) * all))
	id := otlp.TraceID(s.instance, root)
	return binary.BigEndian.Uint64(id[8:])&(all-1) >= least
}

// afford counts n spans as kept if they are worth it and the budget has them.
func (s *Sampler) afford(now time.Time, why reason, n int) (kept bool, _ reason) {
	if why > noBudget && s.budget != nil && !s.budget.take(now, n, why != sampled) {
		why = noBudget
	}
	switch why {
	case leftOut:
		s.stats.Sampled += uint64(n)
	case noBudget:
		s.stats.Budget += uint64(n)
	default:
		s.stats.Kept += uint64(n)
		kept = true
	}
	return kept, why
}

func (s *Sampler) countTrace(why reason) {
	switch why {
	case failed:
		s.stats.Failed++
	case slowly:
		s.stats.Slow++
	case sampled:
		s.stats.Others++
	}
}

// told returns a span which says, if it is the outermost, why it is kept.
func told(sp *exporters.Span, root uint64, why reason) exporters.Span {
	out := *sp
	if sp.ID == root {
		out.Attrs = append(slices.Clip(out.Attrs), exporters.String(ReasonKey, why.String()))
	}
	return out
}

// drop takes a trace from what waits; it may have no spans.
func (s *Sampler) drop(root uint64) *trace {
	t := s.waiting[root]
	if t == nil {
		return &trace{}
	}
	delete(s.waiting, root)
	s.room.hold(s, -len(t.spans), -t.bytes)
	i := slices.Index(s.order, root)
	s.order = slices.Delete(s.order, i, i+1)
	return t
}
