package analysis

import (
	"strings"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Counters makes values over time of a trace: bytes allocated, threads that can
// run, operations in progress, records lost. Each is told when it changes.
type Counters struct {
	// Tell gets a counter's value as of a record; Unit is "bytes" or "".
	Tell func(s *Seen, name, unit string, value int64) error

	allocs *Allocs
	guests map[*stream.Guest]*counting
}

// The names of the counters; of operations in progress it is InProgress and the
// operation's.
const (
	HeapCounter     = "heap: allocated since the trace's begin"
	RunnableCounter = "runnable threads"
	LostCounter     = "lost records"
	InProgress      = "in progress: "
)

// counting is how far one guest's counters are.
type counting struct {
	sched    schedPoints
	stays    int // the argument of a switch that says whether who leaves can run on, -1 for none
	runnable map[string]bool
	lost     int64
	told     map[string]int64
	heap     bool
}

// NewCounters returns counters that are told to tell.
func NewCounters(tell func(s *Seen, name, unit string, value int64) error) *Counters {
	return &Counters{Tell: tell, allocs: NewAllocs(), guests: map[*stream.Guest]*counting{}}
}

// Visitor is one that feeds the counters.
func (c *Counters) Visitor() Visitor {
	return Visitor{Span: c.span, Record: c.record, Gap: c.gap}
}

func (c *Counters) of(g *stream.Guest) *counting {
	n := c.guests[g]
	if n != nil {
		return n
	}
	n = &counting{sched: findSched(g), stays: -1, runnable: map[string]bool{}, told: map[string]int64{}}
	if n.sched.sw >= 0 {
		d := g.Definitions.All[n.sched.sw]
		for i := range d.Args {
			if d.ArgName(i) == "runnable" {
				n.stays = i
			}
		}
	}
	roles := c.allocs.of(g)
	n.heap = len(roles.sizeArg) > 0 && len(roles.frees) > 0
	c.guests[g] = n
	return n
}

// tell tells a value if it is another than the last one.
func (c *Counters) tell(s *Seen, n *counting, name, unit string, value int64) error {
	if was, ok := n.told[name]; ok && was == value {
		return nil
	}
	n.told[name] = value
	return c.Tell(s, name, unit, value)
}

func (c *Counters) span(s *Seen, sp *tracebuf.Span) error {
	return c.allocs.Span(s, sp)
}

func (c *Counters) record(s *Seen) error {
	n := c.of(s.Guest)
	if err := c.allocs.Record(s); err != nil {
		return err
	}
	if n.heap {
		if err := c.tell(s, n, HeapCounter, "bytes", c.allocs.Balance(s.Guest)); err != nil {
			return err
		}
	}
	if n.sched.sw >= 0 && n.switches(s) {
		if err := c.tell(s, n, RunnableCounter, "", int64(len(n.runnable))); err != nil {
			return err
		}
	}
	if err := c.inProgress(s, n); err != nil {
		return err
	}
	return c.tell(s, n, LostCounter, "", n.lost)
}

// switches follows the threads that can run, running ones among them.
func (n *counting) switches(s *Seen) bool {
	r := s.Rec
	name := func(arg int) string {
		if arg < 0 || arg >= len(r.Def.Args) {
			return ""
		}
		if r.Def.Args[arg].Type == tracebuf.ArgString {
			return r.String(arg)
		}
		return s.Guest.ThreadName(r.Uint(arg))
	}
	set := func(name string, can bool) {
		switch {
		case name == "" || name == s.Pairer.Idle:
		case !can:
			delete(n.runnable, name)
		case len(n.runnable) < maxThreads:
			n.runnable[name] = true
		}
	}
	switch r.Def.Index {
	case n.sched.sw:
		set(name(n.sched.from), n.stays >= 0 && r.Uint(n.stays) != 0)
		set(name(n.sched.to), true)
	case n.sched.wakeup:
		set(name(0), true)
	default:
		return false
	}
	return true
}

// inProgress counts how many operations of a name are under way: of those that
// are in no other, which are requests, and of locks, which is who waits for them.
func (c *Counters) inProgress(s *Seen, n *counting) error {
	d := s.Rec.Def
	if s.Pairer.Instant(d) {
		return nil
	}
	base := s.Pairer.Base(d)
	name := InProgress + s.Guest.Definitions.All[base].Name
	if _, known := n.told[name]; !known {
		if !s.Pairer.Begins(d) || !strings.HasSuffix(name, "_lock") && !s.Pairer.Outermost() {
			return nil
		}
	}
	return c.tell(s, n, name, "", int64(s.Pairer.Open(base)))
}

// gap counts what is missing. How many are is not always known: then the period
// counts as one.
func (c *Counters) gap(g *stream.Guest, l *recording.Lost) error {
	n := c.of(g)
	if l.Records == recording.Unknown {
		n.lost++
	} else {
		n.lost += int64(min(l.Records, 1<<62))
	}
	clear(n.runnable)
	return nil
}
