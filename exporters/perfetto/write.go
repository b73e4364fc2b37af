package perfetto

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

const (
	sequenceID = 1
	// pid stands for the guest, which has no process of its own.
	pid = 1
	// processUUID is the guest's track; threads count from there.
	processUUID = 1
	category    = "guest"
)

// Write writes the spans to w as a Perfetto trace.
func Write(w io.Writer, spans iter.Seq2[exporters.Span, error], opt Options) (Stats, error) {
	t := &writer{w: bufio.NewWriterSize(w, 64<<10), tracks: map[track]uint64{}, tids: map[int64]bool{}}
	t.names.reset()
	t.head(opt)
	err := windows(spans, opt.Clock, func(ps []placed) error {
		t.spans(ps, opt.Clock)
		return t.err
	})
	if err == nil {
		err = opt.instants(func(e *exporters.Event) error {
			t.instant(t.trackOf(track{thread: e.Thread}), traceTime(opt.Clock, e.Time), e)
			return t.err
		})
	}
	if err == nil {
		err = opt.counters(func(c *exporters.Counter) error {
			t.counter(traceTime(opt.Clock, c.Time), c)
			return t.err
		})
	}
	if ferr := t.w.Flush(); err == nil && ferr != nil {
		err = ferr
	}
	if t.err != nil {
		err = t.err
	}
	if err != nil {
		return t.stats, fmt.Errorf("writing a Perfetto trace: %w", err)
	}
	return t.stats, nil
}

// writer writes packets; its first failure stays in err.
type writer struct {
	w      *bufio.Writer
	err    error
	stats  Stats
	names  interner
	begun  bool // the sequence has its first packet
	tracks map[track]uint64
	tids   map[int64]bool
	// counters are the counters' tracks by name.
	counters map[string]uint64
	event    []byte
	packet   []byte
}

// head writes the clock snapshot and the guest's track.
func (t *writer) head(opt Options) {
	if !opt.Clock.IsZero() {
		boot := wire.AppendVarint(wire.AppendVarint(nil, clockID, clockBoottime), clockTimestamp, 0)
		real := wire.AppendVarint(wire.AppendVarint(nil, clockID, clockRealtime), clockTimestamp, uint64(max(opt.Clock.Boot(), 0)))
		t.write(wire.AppendBytes(nil, packetClockSnapshot, wire.AppendBytes(wire.AppendBytes(nil, snapshotClocks, boot), snapshotClocks, real)))
	}
	name := opt.Process
	if name == "" {
		name = "guest"
	}
	process := wire.AppendString(wire.AppendVarint(nil, processPID, pid), processName, name)
	d := wire.AppendVarint(nil, descriptorUUID, processUUID)
	t.write(wire.AppendBytes(nil, packetTrackDescriptor, wire.AppendBytes(d, descriptorProcess, process)))
}

// write writes one packet of the sequence.
func (t *writer) write(packet []byte) {
	if t.err != nil {
		return
	}
	packet = wire.AppendVarint(packet, packetSequenceID, sequenceID)
	head := wire.AppendLength(nil, tracePacket, len(packet))
	if _, t.err = t.w.Write(head); t.err == nil {
		_, t.err = t.w.Write(packet)
	}
}

// trackOf returns the track's number and describes it when it is new.
func (t *writer) trackOf(tr track) uint64 {
	if id, ok := t.tracks[tr]; ok {
		return id
	}
	if len(t.tracks) >= maxTracks && tr != others {
		return t.trackOf(others)
	}
	id := uint64(processUUID + 1 + len(t.tracks))
	t.tracks[tr] = id
	t.stats.Tracks++
	d := wire.AppendVarint(nil, descriptorUUID, id)
	if tid := tr.thread.ID; tr.lane != 0 || !tr.thread.Known || tid <= 0 || tid > math.MaxInt32 || t.tids[tid] {
		// A track of no thread, below the process. Perfetto's thread numbers
		// are 32 bits wide, and threads of one number would share one track.
		d = wire.AppendVarint(d, descriptorParent, processUUID)
		d = wire.AppendString(d, descriptorName, tr.name())
	} else {
		t.tids[tid] = true
		th := wire.AppendVarint(wire.AppendVarint(nil, threadPID, pid), threadTID, uint64(tr.thread.ID))
		d = wire.AppendBytes(d, descriptorThread, wire.AppendString(th, threadName, tr.name()))
	}
	t.write(wire.AppendBytes(nil, packetTrackDescriptor, d))
	return id
}

// spans writes one ordered window: each span's begin, what happened in it, and
// its end when the next span of the lane does not nest.
func (t *writer) spans(ps []placed, clock exporters.Clock) {
	type lane struct {
		id   uint64
		open []int64
	}
	lanes := map[int]*lane{}
	closeLanes := func() {
		for _, l := range lanes {
			for i := len(l.open) - 1; i >= 0; i-- {
				t.end(l.id, l.open[i])
			}
		}
		clear(lanes)
	}
	for i := range ps {
		p := &ps[i]
		if i > 0 && p.Thread != ps[i-1].Thread {
			closeLanes()
		}
		l := lanes[p.lane]
		if l == nil {
			l = &lane{id: t.trackOf(track{p.Thread, p.lane})}
			lanes[p.lane] = l
		}
		for len(l.open) > 0 && l.open[len(l.open)-1] <= p.start && l.open[len(l.open)-1] < p.end {
			t.end(l.id, l.open[len(l.open)-1])
			l.open = l.open[:len(l.open)-1]
		}
		t.begin(l.id, p)
		l.open = append(l.open, p.end)
		for _, e := range p.Events {
			t.instant(l.id, traceTime(clock, e.Time), &e)
		}
	}
	closeLanes()
}

// send wraps t.event into a packet with the names it needs.
func (t *writer) send(ts int64) {
	flags := uint64(flagNeeds)
	if !t.begun {
		flags |= flagCleared
		t.begun = true
	}
	b := wire.AppendVarint(t.packet[:0], packetTimestamp, uint64(ts))
	b = wire.AppendVarint(b, packetSequenceFlags, flags)
	if len(t.names.pending) > 0 {
		b = wire.AppendBytes(b, packetInternedData, t.names.pending)
		t.names.pending = t.names.pending[:0]
	}
	b = wire.AppendBytes(b, packetTrackEvent, t.event)
	t.write(b)
	t.packet = b
}

// fresh forgets all names when there are too many; the next packet says so.
func (t *writer) fresh() {
	if t.names.full() {
		t.names.reset()
		t.begun = false
	}
}

func (t *writer) begin(id uint64, p *placed) {
	t.fresh()
	t.stats.Spans++
	e := wire.AppendVarint(t.event[:0], eventType, typeBegin)
	e = wire.AppendVarint(e, eventTrack, id)
	e = wire.AppendVarint(e, eventCategoryIIDs, t.names.name(internCategories, category))
	e = wire.AppendVarint(e, eventNameIID, t.names.name(internNames, p.Name))
	if p.Function != "" || p.File != "" {
		e = wire.AppendVarint(e, eventLocationIID, t.names.location(p.Function, p.File, p.Line))
	}
	if p.Root != 0 {
		// Spans of one request are shown as belonging together.
		e = wire.AppendVarint(e, eventCorrelationID, p.Root)
	}
	e = appendFlows(e, p.Flows)
	e = t.attrs(e, withCPU(p.Attrs, p.CPU))
	if p.Err {
		e = t.attrs(e, []exporters.Attr{exporters.Bool("error", true), exporters.String("error.type", p.ErrType), exporters.String("error.text", p.ErrText)})
	}
	t.event = e
	t.send(p.start)
}

func (t *writer) end(id uint64, ts int64) {
	t.event = wire.AppendVarint(wire.AppendVarint(t.event[:0], eventType, typeEnd), eventTrack, id)
	t.send(ts)
}

func (t *writer) instant(id uint64, ts int64, ev *exporters.Event) {
	t.fresh()
	t.stats.Instants++
	e := wire.AppendVarint(t.event[:0], eventType, typeInstant)
	e = wire.AppendVarint(e, eventTrack, id)
	e = wire.AppendVarint(e, eventCategoryIIDs, t.names.name(internCategories, category))
	e = wire.AppendVarint(e, eventNameIID, t.names.name(internNames, ev.Name))
	e = appendFlows(e, ev.Flows)
	t.event = t.attrs(e, withCPU(ev.Attrs, ev.CPU))
	t.send(ts)
}

// appendFlows connects an event with the others of these numbers, in order of
// time.
func appendFlows(e []byte, flows []uint64) []byte {
	for _, f := range flows {
		e = wire.AppendFixed64(e, eventFlowIDs, f)
	}
	return e
}

// maxCounters bounds the counters; values of further ones are left out.
const maxCounters = 1 << 10

// firstCounter is where the numbers of counters' tracks begin: above those of
// threads.
const firstCounter = 1 << 32

// counter writes a value on its counter's track, and describes that when it is
// new.
func (t *writer) counter(ts int64, c *exporters.Counter) {
	id, ok := t.counters[c.Name]
	if !ok {
		if len(t.counters) == maxCounters {
			return
		}
		if t.counters == nil {
			t.counters = map[string]uint64{}
		}
		id = firstCounter + uint64(len(t.counters))
		t.counters[c.Name] = id
		t.stats.Tracks++
		var unit []byte
		if c.Unit != "" {
			unit = wire.AppendString(nil, counterUnitName, c.Unit)
		}
		d := wire.AppendVarint(nil, descriptorUUID, id)
		d = wire.AppendVarint(d, descriptorParent, processUUID)
		d = wire.AppendString(d, descriptorName, c.Name)
		t.write(wire.AppendBytes(nil, packetTrackDescriptor, wire.AppendBytes(d, descriptorCounter, unit)))
	}
	t.stats.Counters++
	e := wire.AppendVarint(t.event[:0], eventType, typeCounter)
	e = wire.AppendVarint(e, eventTrack, id)
	t.event = wire.AppendVarint(e, eventCounterValue, uint64(c.Value))
	t.send(ts)
}

func (t *writer) attrs(e []byte, attrs []exporters.Attr) []byte {
	for _, a := range attrs {
		n := wire.AppendVarint(nil, annotationNameIID, t.names.name(internAnnotations, a.Key))
		switch a.Kind {
		case exporters.KindBool:
			n = wire.AppendVarint(n, annotationBool, a.Num)
		case exporters.KindUint:
			n = wire.AppendVarint(n, annotationUint, a.Num)
		case exporters.KindInt:
			n = wire.AppendVarint(n, annotationInt, a.Num)
		case exporters.KindPointer:
			n = wire.AppendVarint(n, annotationPointer, a.Num)
		default:
			n = wire.AppendString(n, annotationString, a.Str)
		}
		e = wire.AppendBytes(e, eventAnnotations, n)
	}
	return e
}
