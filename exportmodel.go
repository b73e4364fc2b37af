package ukdbg

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// model is a trace as the exporters want it: times in nanoseconds since the
// first guest's boot as the host saw it, with a clock that maps these to Unix
// time; guest times where the host's are not known.
type model struct {
	x          *Export
	first      *stream.Guest
	guests     []*stream.Guest
	generation uint32
	clock      exporters.Clock
	// boot is the host's time of the first guest's boot, if dated.
	boot    int64
	dated   bool
	threads threadNumbers
	// perGuest is set where thread names need their guest's.
	perGuest bool
}

// quiet is how far a snapshot's clock may be wrong where nothing bounds it: the
// last record is older than the reading by as much as a guest may be quiet.
const quiet = 100_000_000

// model looks at how the trace begins.
func (x *Export) model() (*model, error) {
	m := &model{x: x, threads: threadNumbers{}}
	sources, err := x.Open()
	if err != nil {
		return nil, err
	}
	m.perGuest = len(sources) > 1
	for i, src := range sources {
		c, err := firstRecords(src)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err == nil && (!m.dated || i == 0) {
			m.generation = c.Generation
			m.date(c)
		}
		m.guests = append(m.guests, src.Guests()...)
	}
	m.perGuest = m.perGuest || len(m.guests) > 1
	if len(m.guests) > 0 {
		m.first = m.guests[0]
	}
	return m, nil
}

// firstRecords returns the first chunk with records.
func firstRecords(src stream.Source) (*stream.Chunk, error) {
	for {
		c, err := src.Next()
		if err != nil {
			return nil, err
		}
		if c.Guest != nil && c.Lost == nil && c.Head.Records > 0 {
			return c, nil
		}
	}
}

// date aligns the clock by a stretch of records.
func (m *model) date(c *stream.Chunk) {
	p := c.Clock
	if !p.Known {
		return
	}
	u := p.Uncertainty
	if u < 0 {
		u = quiet
	}
	m.boot = p.Base - int64(p.From)
	clock, err := exporters.NewClock(exporters.Segment{Offset: m.boot, Uncertainty: u})
	if err != nil {
		return // only a negative uncertainty is one
	}
	m.clock, m.dated = clock, true
}

// errStop ends a reading because the consumer wants no more.
var errStop = errors.New("stopped by the consumer")

// spans are those the query chose.
func (m *model) spans() iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		err := m.run(analysis.Visitor{Span: func(s *analysis.Seen, sp *tracebuf.Span) error {
			if !yield(m.span(s, sp), nil) {
				return errStop
			}
			return nil
		}})
		if err != nil && !errors.Is(err, errStop) {
			yield(exporters.Span{}, err)
		}
	}
}

// instants are the records that neither begin nor end a span.
func (m *model) instants() iter.Seq2[exporters.Event, error] {
	return func(yield func(exporters.Event, error) bool) {
		var arrows flows
		err := m.run(analysis.Visitor{Instant: func(s *analysis.Seen) error {
			ev := exporters.Event{
				Flows: arrows.of(s),
				Name:  s.Rec.Def.Name, Time: int64(s.Rec.Time), Thread: m.thread(s.Guest, s.Thread()), CPU: cpuOf(s),
				Attrs: []exporters.Attr{exporters.String("text", s.Rec.Text())},
			}
			if m.dated {
				ev.Time = s.Unix() - m.boot
			}
			if !yield(ev, nil) {
				return errStop
			}
			return nil
		}})
		if err != nil && !errors.Is(err, errStop) {
			yield(exporters.Event{}, err)
		}
	}
}

func (m *model) run(v analysis.Visitor) error {
	sources, err := m.x.Open()
	if err != nil {
		return err
	}
	_, err = m.x.Query.Run(sources, v)
	return err
}

func (m *model) span(s *analysis.Seen, sp *tracebuf.Span) exporters.Span {
	out := spanOf(sp, m.thread(s.Guest, sp.Thread), cpuOf(s))
	if m.dated {
		if start, end, ok := s.SpanUnix(&sp.Interval); ok {
			out.Start, out.End = start-m.boot, end-m.boot
		}
	}
	return out
}

// spanOf makes of a guest's span one for exporters, its times by the guest's clock.
func spanOf(sp *tracebuf.Span, thread exporters.Thread, cpu exporters.CPU) exporters.Span {
	out := exporters.Span{
		ID: sp.ID, Parent: sp.Parent, Root: sp.Root, Name: sp.Name,
		Start: int64(sp.Start), End: int64(max(sp.Start, sp.End)), Err: sp.Failed, AcrossLost: sp.AcrossLost, Thread: thread, CPU: cpu,
	}
	if sp.Failed {
		out.ErrType, out.ErrText = sp.Name+"_err", sp.Leave.Text()
	}
	out.Attrs = append(out.Attrs, exporters.String("ukdbg.enter", sp.Enter.Text()), exporters.String("ukdbg.leave", sp.Leave.Text()))
	for i, a := range arguments(&sp.Enter) {
		key := fmt.Sprintf("ukdbg.arg.%d", i)
		switch v := a.(type) {
		case string:
			out.Attrs = append(out.Attrs, exporters.String(key, v))
		case int64:
			out.Attrs = append(out.Attrs, exporters.Int(key, v))
		case uint64:
			out.Attrs = append(out.Attrs, exporters.Uint(key, v))
		}
	}
	if sp.Waited > 0 {
		out.Attrs = append(out.Attrs, exporters.Uint("ukdbg.waited_ns", sp.Waited))
	}
	if sp.Ambiguous {
		out.Attrs = append(out.Attrs, exporters.Bool("ukdbg.ambiguous", true))
	}
	if sp.AcrossLost {
		out.Attrs = append(out.Attrs, exporters.Bool("ukdbg.across_lost", true))
	}
	return out
}

func (m *model) thread(g *stream.Guest, name string) exporters.Thread {
	if m.perGuest {
		if name == "" {
			name = "unknown thread"
		}
		name = g.Label() + "/" + name
	}
	return m.threads.of(name)
}

// threadNumbers numbers the threads of one export by their names, which are all
// a record tells: a thread's spans and instants must get the same number.
type threadNumbers map[string]int64

func (n threadNumbers) of(name string) exporters.Thread {
	if name == "" {
		return exporters.Thread{}
	}
	if _, ok := n[name]; !ok {
		n[name] = int64(len(n) + 1)
	}
	return exporters.Thread{ID: n[name], Name: name, Known: true}
}
