package tailsample

import "time"

// Policy says what is kept. The zero Policy is one that a store survives.
type Policy struct {
	// Share of the traces that neither failed nor were slow, 0.01 if 0; negative
	// for none.
	Share float64
	// Slow is how long a trace takes at least to be kept; 0 for what is longer than
	// 99 % of the traces of the same operation lately.
	Slow time.Duration
	// SpansPerSecond is the budget of the host, 1,000 if 0, negative for none;
	// Burst how much of it may be used at once, ten seconds' worth if 0.
	SpansPerSecond float64
	Burst          int
	// MaxHeld is how many spans of a guest wait for the end of their trace, 20,000
	// if 0.
	MaxHeld int
	// MaxOperations is how many operations of a guest are counted apart, 50 if 0.
	MaxOperations int
}

func (p Policy) withDefaults() Policy {
	if p.Share == 0 {
		p.Share = 0.01
	}
	if p.SpansPerSecond == 0 {
		p.SpansPerSecond = 1000
	}
	if p.Burst == 0 {
		p.Burst = int(min(max(10*p.SpansPerSecond, 1), 1<<30))
	}
	if p.MaxHeld == 0 {
		p.MaxHeld = 20_000
	}
	if p.MaxOperations == 0 {
		p.MaxOperations = 50
	}
	return p
}

// ReasonKey is the attribute of a trace's outermost span that says why it is kept.
const ReasonKey = "ukdbg.sampling.reason"

// Reasons to keep a trace or to leave it out.
const (
	Failed   = "failed"   // a span of it failed
	Slow     = "slow"     // it took long
	Share    = "share"    // of the share kept of the rest
	Ordinary = "ordinary" // left out: none of these
	Budget   = "budget"   // left out: worth keeping, but the budget was used up
)
