package analysis

import (
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/filter"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Visitor is what is called with what a Query chose; unset functions are not
// called. What they are given is valid during the call.
type Visitor struct {
	// Record gets every chosen good record, Bad every stretch that is none.
	Record, Bad func(*Seen) error
	// Interval gets every chosen span without its records, Span with them.
	Interval func(*Seen, *tracebuf.Interval) error
	Span     func(*Seen, *tracebuf.Span) error
	// Instant gets every chosen record that neither begins nor ends a span.
	Instant func(*Seen) error
	// Intervals and Instants get the same many at a time where a Query chooses
	// everything, and are called instead then: spans of one guest, and how many
	// records of a definition there were, at the end. Both or none are set.
	Intervals func(*stream.Guest, []tracebuf.Interval)
	Instants  func(g *stream.Guest, def int, n uint64)
	// Gap gets periods whose records are lost; Damage parts of a file.
	Gap    func(*stream.Guest, *recording.Lost) error
	Damage func(*stream.Damage) error
}

// Seen is a record in its surroundings.
type Seen struct {
	*stream.Event
	Guest  *stream.Guest
	Pairer *tracebuf.Pairer
	lane   *lane
}

// Thread is the thread that runs at the record, "" if it is not known.
func (s *Seen) Thread() string { return s.Pairer.Thread() }

// CPU is the processor that recorded, -1 if it is not known.
func (s *Seen) CPU() int { return cpuOf(s.Rec) }

// SpanUnix maps a span that ends at this record to the host's time. A guest that
// stood still meanwhile makes no long span: then the end is the start and what
// the guest's clock counted.
func (s *Seen) SpanUnix(iv *tracebuf.Interval) (start, end int64, ok bool) {
	if !s.Chunk.Clock.Known {
		return 0, 0, false
	}
	end = s.Unix()
	start, segment := s.lane.starts(iv.Start, s.Chunk)
	if segment != s.Chunk.Head.Segment {
		return start, start + int64(iv.Duration()), true
	}
	return min(start, end), end, true
}

// Generation is that of the guest run at this record.
func (s *Seen) Generation() uint32 { return s.Chunk.Generation }

// Totals is what was met, chosen or not.
type Totals struct {
	// Records are good ones, Chosen those that the query let through, Bad
	// stretches that are none with Skipped bytes, Half of these half-written.
	Records, Chosen, Bad, Skipped, Half, Backwards uint64
	// LostPeriods and Lost: periods that are told to be missing and their length
	// by the guest's clock.
	LostPeriods, Lost uint64
	// LostRecords counts those whose number is known.
	LostRecords uint64
	// Damaged are parts of files that could not be read; Cut: the last one
	// reaches to the end.
	Damaged, DamagedBytes uint64
	Cut                   bool
	// Spans are those that were found, Ambiguous how many of them may be wrong.
	Spans, Ambiguous uint64
	// Unmatched counts by name the halves without the other.
	Unmatched map[string]int
	// Guests are the guest runs with what is known of each.
	Guests []*GuestTotals
}

// GuestTotals is what was met of one guest.
type GuestTotals struct {
	Guest       *stream.Guest
	Records     uint64
	First, Last uint64 // guest time of the first and the last record
	Threads     bool   // records tell their threads
	// Lost is how much of the time between the first and the last record has no
	// records because they were lost, in nanoseconds of the guest's clock.
	Lost uint64
}

// Span is the time from the first to the last record, by the guest's clock.
func (g *GuestTotals) Span() uint64 {
	if g.Last < g.First {
		return 0
	}
	return g.Last - g.First
}

// Covered is Span without the periods whose records were lost: what a count of
// records is divided by for their rate.
func (g *GuestTotals) Covered() uint64 {
	if g.Lost > g.Span() {
		return 0
	}
	return g.Span() - g.Lost
}

// lane is how far one guest is analysed.
type lane struct {
	guest      *stream.Guest
	pairer     *tracebuf.Pairer
	totals     GuestTotals
	window     window
	begun      bool
	generation uint32
	nameOK     []bool // by Definition.Index
	threadOK   map[string]bool
	sampled    uint64
	pieces     []piece
	// lost is the time without records since the last record, lostTo its end.
	lost, lostTo uint64
}

// piece remembers clocks, so that the begin of a span can be dated.
type piece struct {
	from    uint64
	segment uint32
	clock   stream.Piece
}

// maxPieces bounds how far back the begin of a span is dated exactly.
const maxPieces = 1024

// remember notes the clock of a chunk.
func (l *lane) remember(c *stream.Chunk) {
	if c.Head.Records == 0 || !c.Clock.Known {
		return
	}
	if len(l.pieces) == maxPieces {
		l.pieces = slices.Delete(l.pieces, 0, maxPieces/2)
	}
	l.pieces = append(l.pieces, piece{c.Head.First, c.Head.Segment, c.Clock})
}

// starts dates an earlier moment of the guest and tells its segment.
func (l *lane) starts(guest uint64, c *stream.Chunk) (int64, uint32) {
	for i := len(l.pieces) - 1; i >= 0; i-- {
		if p := &l.pieces[i]; p.from <= guest {
			return p.clock.Unix(guest), p.segment
		}
	}
	return c.Clock.Unix(guest), c.Head.Segment
}

// run is a Query at work.
type run struct {
	q       *Query
	v       Visitor
	names   patterns
	threads patterns
	lanes   map[*stream.Guest]*lane
	order   []*lane
	last    *lane
	totals  Totals
	// full: spans are needed with their records.
	full    bool
	subject filter.Subject
	// What visitors are given: kept here, not made anew for each record.
	seen Seen
	iv   tracebuf.Interval
	sp   tracebuf.Span
}

// Run reads the sources and calls the visitor.
func (q *Query) Run(sources []stream.Source, v Visitor) (*Totals, error) {
	r := &run{q: q, v: v, names: compile(q.Names), threads: compile(q.Threads), lanes: map[*stream.Guest]*lane{}}
	filtered := q.Where != nil && !q.Where.Empty() || len(q.CPUs) > 0
	r.full = v.Span != nil || v.Interval != nil && filtered
	var err error
	if r.many() {
		err = r.runMany(sources)
	} else {
		err = stream.Each(sources, r.event)
	}
	r.finish()
	return &r.totals, err
}

func (r *run) event(ev *stream.Event) error {
	if ev.Rec == nil {
		return r.gap(ev)
	}
	l := r.last
	if l == nil || l.guest != ev.Chunk.Guest || l.pairer == nil {
		l = r.lane(ev.Chunk.Guest)
	}
	if ev.First {
		r.chunk(l, ev.Chunk)
	}
	rec := ev.Rec
	if rec.Problem != tracebuf.Good {
		return r.bad(l, ev)
	}
	t := &l.totals
	switch {
	case !l.begun:
		l.begun, t.First = true, rec.Time
		l.window = r.q.window(rec.Time)
	case rec.Time < t.Last:
		r.totals.Backwards++
	}
	l.reaches(rec.Time)
	t.Records++
	seen := &r.seen
	seen.Event, seen.Guest, seen.Pairer, seen.lane = ev, l.guest, l.pairer, l
	var ok bool
	if r.full {
		if r.sp, ok = l.pairer.Add(rec); ok {
			if err := r.span(l, seen, &r.sp); err != nil {
				return err
			}
		}
	} else if r.v.Interval != nil {
		if r.iv, ok = l.pairer.Measure(rec); ok {
			if err := r.interval(l, seen, &r.iv); err != nil {
				return err
			}
		}
	} else {
		// To follow the threads.
		l.pairer.Measure(rec)
	}
	if r.v.Instant == nil && r.v.Record == nil {
		return nil
	}
	return r.record(l, seen)
}

func (r *run) lane(g *stream.Guest) *lane {
	l := r.lanes[g]
	if l == nil {
		l = &lane{guest: g, pairer: g.Pairer(), threadOK: map[string]bool{}}
		l.totals.Guest = g
		for _, d := range g.Definitions.All {
			base := g.Definitions.All[l.pairer.Base(d)].Name
			l.nameOK = append(l.nameOK, r.names.match(d.Name) || r.names.match(base))
		}
		r.lanes[g] = l
		r.order = append(r.order, l)
	}
	r.last = l
	return l
}

func (r *run) chunk(l *lane, c *stream.Chunk) {
	if c.Generation != l.generation {
		l.pairer.Restart()
		l.generation = c.Generation
		l.pieces, l.lost, l.lostTo = l.pieces[:0], 0, 0
	}
	l.remember(c)
}

// loses notes a period without records. What lies before the last record, as
// where one of several processors lost records, is covered by others.
func (l *lane) loses(p *recording.Lost) {
	if from := max(p.From, l.totals.Last, l.lostTo); l.begun && p.To > from {
		l.lost, l.lostTo = l.lost+p.To-from, p.To
	}
}

// reaches notes the next record: only a loss before it is within the trace.
func (l *lane) reaches(time uint64) {
	t := &l.totals
	if l.lost > 0 && time > t.Last {
		t.Lost += min(l.lost, time-t.Last)
	}
	t.Last, l.lost, l.lostTo = time, 0, 0
}

// AddGap counts a gap or damage.
func (t *Totals) AddGap(c *stream.Chunk) {
	if d := c.Damage; d != nil {
		t.Damaged++
		t.DamagedBytes += uint64(d.Size)
		t.Cut = d.Cut
		return
	}
	t.LostPeriods++
	t.Lost += c.Lost.Length()
	if c.Lost.Records != recording.Unknown {
		t.LostRecords += c.Lost.Records
	}
}

func (r *run) gap(ev *stream.Event) error {
	r.totals.AddGap(ev.Chunk)
	if d := ev.Chunk.Damage; d != nil {
		for _, l := range r.order {
			l.pairer.Gap()
		}
		if r.v.Damage != nil {
			return r.v.Damage(d)
		}
		return nil
	}
	if l := r.lanes[ev.Chunk.Guest]; l != nil {
		l.pairer.Gap()
		l.loses(ev.Chunk.Lost)
	}
	if r.v.Gap != nil {
		return r.v.Gap(ev.Chunk.Guest, ev.Chunk.Lost)
	}
	return nil
}

func (r *run) bad(l *lane, ev *stream.Event) error {
	r.totals.Bad++
	r.totals.Skipped += uint64(ev.Rec.Size)
	if ev.Rec.Problem == tracebuf.HalfWritten {
		r.totals.Half++
	} else {
		l.pairer.Gap()
	}
	if r.v.Bad != nil {
		return r.v.Bad(&Seen{Event: ev, Guest: l.guest, Pairer: l.pairer, lane: l})
	}
	return nil
}

func (l *lane) thread(p patterns, name string) bool {
	if len(p) == 0 {
		return true
	}
	ok, known := l.threadOK[name]
	if !known {
		ok = p.match(name)
		l.threadOK[name] = ok
	}
	return ok
}

// keep counts what was chosen and samples it.
func (r *run) keep(l *lane) bool {
	l.sampled++
	if r.q.Sample > 1 && (l.sampled-1)%r.q.Sample != 0 {
		return false
	}
	r.totals.Chosen++
	return true
}

func (r *run) record(l *lane, s *Seen) error {
	instant := l.pairer.Instant(s.Rec.Def)
	if r.v.Record == nil && !instant {
		return nil
	}
	if !l.nameOK[s.Rec.Def.Index] || !l.window.holds(s.Rec.Time, s.Unix) || !l.thread(r.threads, s.Thread()) {
		return nil
	}
	if len(r.q.CPUs) > 0 && !slices.Contains(r.q.CPUs, s.CPU()) {
		return nil
	}
	if w := r.q.Where; w != nil && !w.Empty() {
		r.subject = filter.Subject{Record: s.Rec, Thread: s.Thread(), Guest: s.Guest.Label(), CPU: s.CPU()}
		if !w.Match(&r.subject) {
			return nil
		}
	}
	if !r.keep(l) {
		return nil
	}
	if r.v.Record != nil {
		return r.v.Record(s)
	}
	return r.v.Instant(s)
}

func (r *run) interval(l *lane, s *Seen, iv *tracebuf.Interval) error {
	if !r.chosen(l, s, iv) || !r.keep(l) {
		return nil
	}
	return r.v.Interval(s, iv)
}

// chosen applies what needs no records to a span, and counts it.
func (r *run) chosen(l *lane, s *Seen, iv *tracebuf.Interval) bool {
	r.totals.Spans++
	if iv.Ambiguous {
		r.totals.Ambiguous++
	}
	if !l.nameOK[iv.Base] || !l.thread(r.threads, l.pairer.NameOf(iv.OnThread)) {
		return false
	}
	return !l.window.any || l.window.holds(iv.Start, func() int64 {
		unix, _, _ := s.SpanUnix(iv)
		return unix
	})
}

func (r *run) span(l *lane, s *Seen, sp *tracebuf.Span) error {
	if !r.chosen(l, s, &sp.Interval) {
		return nil
	}
	cpu := cpuOf(&sp.Enter)
	if len(r.q.CPUs) > 0 && !slices.Contains(r.q.CPUs, cpu) {
		return nil
	}
	if w := r.q.Where; w != nil && !w.Empty() {
		r.subject = filter.Subject{
			Record: &sp.Enter, Leave: &sp.Leave, Span: &sp.Interval, Name: sp.Name,
			Thread: sp.Thread, Guest: s.Guest.Label(), CPU: cpu,
		}
		if !w.Match(&r.subject) {
			return nil
		}
	}
	if !r.keep(l) {
		return nil
	}
	if r.v.Span != nil {
		return r.v.Span(s, sp)
	}
	return r.v.Interval(s, &sp.Interval)
}

// finish adds up what the lanes know.
func (r *run) finish() {
	t := &r.totals
	t.Unmatched = map[string]int{}
	for _, l := range r.order {
		t.Records += l.totals.Records
		for i, n := range l.pairer.UnmatchedByDefinition() {
			if n > 0 {
				t.Unmatched[l.guest.Definitions.All[i].Name] += n
			}
		}
		l.totals.Threads = l.guest.Switch != nil || l.pairer.Thread() != ""
		t.Guests = append(t.Guests, &l.totals)
	}
}
