package sampling

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// Policy says which traces are kept.
type Policy struct {
	// Slow keeps traces whose root took as long or longer, 0 for none because of that.
	Slow time.Duration
	// Errors keeps traces with a failed span.
	Errors bool
	// Keep is the part of the others that is kept, from 0 to 1.
	Keep float64
}

// Limits of what waits for its trace to be whole.
const (
	maxTraces = 4096
	maxSpans  = 1000  // of one trace; those beyond are counted and left out
	maxWait   = 20000 // spans of one guest
	patience  = 30 * time.Second
)

// ordinary is the part of the budget that traces which are neither slow nor failed
// leave to those that are.
const ordinary = 0.5

// Stats count spans.
type Stats struct {
	// Seen is all, Kept those that were handed out.
	Seen, Kept uint64
	// Sampled were not kept by the policy, Budget for want of budget, Beyond because
	// their trace or all that waits was too large.
	Sampled, Budget, Beyond uint64
	// Slow, Failed and Others are the traces kept, by reason.
	Slow, Failed, Others uint64
}

// expireEvery is how often traces are looked for whose root does not end.
const expireEvery = time.Second

// Sampler chooses of the traces of one run of a guest. It is safe for concurrent use.
type Sampler struct {
	mu       sync.Mutex
	expired  time.Time
	policy   Policy
	budget   *Budget
	instance string
	waiting  map[uint64]*trace
	spans    int // that wait
	stats    Stats
	red      red
}

// trace is what is known of a trace.
type trace struct {
	since  time.Time
	spans  []exporters.Span
	failed bool
}

// New makes a sampler. The instance is that of the guest's run; it makes the choice
// differ between runs.
func New(p Policy, b *Budget, instance string) *Sampler {
	return &Sampler{policy: p, budget: b, instance: instance, waiting: map[uint64]*trace{}}
}

// Use puts another policy and budget in force.
func (s *Sampler) Use(p Policy, b *Budget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy, s.budget = p, b
}

// Stats tells what became of the spans.
func (s *Sampler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Add takes spans in order of their ends and returns those of the traces that are
// whole and kept. The spans given are copied where they are kept longer.
func (s *Sampler) Add(now time.Time, spans []exporters.Span) []exporters.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []exporters.Span
	for i := range spans {
		sp := &spans[i]
		s.stats.Seen++
		s.red.add(sp)
		root := sp.Root
		if root == 0 {
			root = sp.ID
		}
		t := s.waiting[root]
		if t == nil {
			if len(s.waiting) >= maxTraces {
				s.stats.Beyond++
				continue
			}
			t = &trace{since: now}
			s.waiting[root] = t
		}
		t.failed = t.failed || sp.Err
		whole := root == sp.ID
		if len(t.spans) >= maxSpans && !whole || s.spans >= maxWait && !whole {
			s.stats.Beyond++
			continue
		}
		t.spans = append(t.spans, *sp)
		s.spans++
		if whole {
			out = s.decide(out, now, root, t, time.Duration(sp.End-sp.Start))
		}
	}
	if now.Sub(s.expired) < expireEvery && !now.Before(s.expired) {
		return out
	}
	s.expired = now
	return s.expire(out, now)
}

// expire decides on traces whose root does not end.
func (s *Sampler) expire(out []exporters.Span, now time.Time) []exporters.Span {
	for root, t := range s.waiting {
		if now.Sub(t.since) > patience || now.Before(t.since) {
			first, last := int64(math.MaxInt64), int64(math.MinInt64)
			for i := range t.spans {
				first, last = min(first, t.spans[i].Start), max(last, t.spans[i].End)
			}
			out = s.decide(out, now, root, t, time.Duration(max(0, last-first)))
		}
	}
	return out
}

// Restart forgets what waits: the guest was set back, and nothing of it will end.
func (s *Sampler) Restart(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instance = instance
	for root, t := range s.waiting {
		s.stats.Sampled += uint64(len(t.spans))
		delete(s.waiting, root)
	}
	s.spans = 0
}

// decide keeps a trace or not.
func (s *Sampler) decide(out []exporters.Span, now time.Time, root uint64, t *trace, took time.Duration) []exporters.Span {
	delete(s.waiting, root)
	s.spans -= len(t.spans)
	n := uint64(len(t.spans))
	var why *uint64
	reserve := 0.0
	switch {
	case n == 0:
		return out
	case t.failed && s.policy.Errors:
		why = &s.stats.Failed
	case s.policy.Slow > 0 && took >= s.policy.Slow:
		why = &s.stats.Slow
	case s.chosen(root):
		why, reserve = &s.stats.Others, ordinary
	default:
		s.stats.Sampled += n
		return out
	}
	if s.budget != nil && !s.budget.take(now, int(n), reserve) {
		s.stats.Budget += n
		return out
	}
	*why++
	s.stats.Kept += n
	return append(out, t.spans...)
}

// chosen reports whether a trace is of the part that is kept.
func (s *Sampler) chosen(root uint64) bool {
	h := fnv.New64a()
	h.Write([]byte(s.instance))
	h.Write(binary.LittleEndian.AppendUint64(nil, root))
	// FNV's high bits move little with its last bytes.
	v := h.Sum64() * 0x9e3779b97f4a7c15
	v ^= v >> 32
	v *= 0xd6e8feb86659fd93
	return float64(v>>11)/(1<<53) < s.policy.Keep
}
