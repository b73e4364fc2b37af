package tailsample

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
)

// Host is what the guests of a host share: the policy, the budget, the counts. It is
// safe for concurrent use.
type Host struct {
	policy    Policy
	threshold uint64 // the least randomness of a trace that is of the share
	now       func() time.Time
	start     time.Time

	mu     sync.Mutex
	tokens float64
	filled time.Time
	counts map[string]*count // by reason
	early  uint64
}

// count is of what was decided upon for one reason.
type count struct {
	kept          bool
	traces, spans uint64
}

// NewHost returns a host that uses none of its budget yet.
func NewHost(p Policy) *Host { return newHost(p, time.Now) }

func newHost(p Policy, now func() time.Time) *Host {
	p = p.withDefaults()
	h := &Host{policy: p, now: now, start: now(), tokens: float64(p.Burst), filled: now(), counts: map[string]*count{}}
	const all = 1 << 56
	h.threshold = uint64((1 - math.Min(math.Max(p.Share, 0), 1)) * all)
	return h
}

// ofShare reports whether the trace with that root is of the share kept of the rest:
// by the 56 last bits of its identifier.
func (h *Host) ofShare(instance string, root uint64) bool {
	id := otlp.TraceID(instance, root)
	return binary.BigEndian.Uint64(id[8:])<<8>>8 >= h.threshold
}

// spend takes n spans from the budget and reports whether it has them. A trace longer
// than the burst needs all of it, and leaves a debt.
func (h *Host) spend(n int, worth bool) bool {
	if h.policy.SpansPerSecond < 0 {
		return true
	}
	now := h.now()
	burst := float64(h.policy.Burst)
	h.tokens = min(burst, h.tokens+max(now.Sub(h.filled), 0).Seconds()*h.policy.SpansPerSecond)
	h.filled = now
	needed := min(float64(n), burst)
	if !worth {
		needed = min(float64(n)+burst/2, burst)
	}
	if h.tokens < needed {
		return false
	}
	h.tokens -= float64(n)
	return true
}

// decide settles a trace, or the spans that came after it was settled: whether it is
// kept, and the reason.
func (h *Host) decide(reason string, traces, spans int) (kept bool, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch reason {
	case Ordinary, Budget:
	default:
		if kept = h.spend(spans, reason != Share); !kept {
			reason = Budget
		}
	}
	c := h.counts[reason]
	if c == nil {
		c = &count{kept: kept}
		h.counts[reason] = c
	}
	c.traces += uint64(traces)
	c.spans += uint64(spans)
	return kept, reason
}

// Metrics returns the counts of what was kept and what was left out, and why.
func (h *Host) Metrics(now time.Time) []exporters.Metric {
	h.mu.Lock()
	defer h.mu.Unlock()
	traces := exporters.Metric{Name: "ukdbg.sampling.traces", Unit: "{trace}", Kind: exporters.MetricCounter,
		Description: "Traces kept and left out by sampling, by reason."}
	spans := exporters.Metric{Name: "ukdbg.sampling.spans", Unit: "{span}", Kind: exporters.MetricCounter,
		Description: "Spans kept and left out by sampling, by reason."}
	for _, reason := range []string{Failed, Slow, Share, Ordinary, Budget} {
		c := h.counts[reason]
		if c == nil {
			continue
		}
		decision := "left_out"
		if c.kept {
			decision = "kept"
		}
		p := exporters.Point{Start: h.start, Time: now, Attrs: []exporters.Attr{exporters.String("decision", decision), exporters.String("reason", reason)}}
		p.Value = float64(c.traces)
		traces.Points = append(traces.Points, p)
		p.Value = float64(c.spans)
		spans.Points = append(spans.Points, p)
	}
	early := exporters.Metric{Name: "ukdbg.sampling.unfinished", Unit: "{trace}", Kind: exporters.MetricCounter,
		Description: "Traces decided upon before their end was seen.",
		Points:      []exporters.Point{{Start: h.start, Time: now, Value: float64(h.early)}}}
	return []exporters.Metric{traces, spans, early}
}
