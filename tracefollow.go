package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// TraceFollower reads again and again what a guest has added to its trace buffer,
// or to uktrace's rings, and makes spans of it. It empties nothing: a plain buffer
// that is full says no more until somebody empties it.
//
// It belongs to its session and is used from the session's goroutine.
type TraceFollower struct {
	s      *Session
	guest  *stream.Guest
	mem    target.Memory
	loc    tracebuf.Location
	rings  *ring.Reader // nil for a plain buffer
	size   uint64
	slide  uint64
	slid   bool // the slide is proved by records
	pairer *tracebuf.Pairer

	known    buffered // what was in the plain buffer at the last reading
	pointers [16]byte
	data     []byte
	last     time.Time // of the reading before
	newest   uint64    // guest time of the newest record
	any      bool
	position uint64
	named    time.Time // when threads were named
	numbers  threadNumbers
}

// TraceReading is what one reading found.
type TraceReading struct {
	// After and Before are the host's times between which the records were written;
	// After is zero at the first reading.
	After, Before time.Time
	// First and Last are the guest times of the oldest and the newest record, in
	// nanoseconds since boot.
	First, Last uint64
	// Records is how many there were, Bad how many stretches that are none.
	Records, Bad int
	// Lost is how many records are missing before these, as the guest counts.
	Lost uint64
	// Full: the plain buffer is full, what came since is lost, how much is not known.
	Full bool
	// Used is the part of the buffer, or of one ring, that these records took, from 0
	// to 1.
	Used float64
	// Restored: the guest was set back to an earlier state.
	Restored bool
	// Spans are those that ended, their times by the guest's clock. They are valid
	// until the next reading.
	Spans []exporters.Span
}

// nameEvery is how often the threads are named again where one has no name.
const nameEvery = 5 * time.Second

// FollowTrace begins to follow the guest's traces. Of what lies in the buffer
// already the first reading tells.
func (s *Session) FollowTrace(ctx context.Context) (*TraceFollower, error) {
	g, err := s.traceGuest(ctx)
	if err != nil {
		return nil, err
	}
	f := &TraceFollower{s: s, guest: g, slide: s.mapping.Slide, pairer: g.Pairer(), named: time.Now(), numbers: threadNumbers{}}
	f.mem = target.Memory(s.mem)
	if v, ok := s.mem.(*view); ok {
		f.mem = v.mem // a reading has checks of its own
	}
	switch rings, err := s.rings(ctx); {
	case err == nil:
		f.rings = rings.NewReader(g.Definitions, f.slide, ring.Options{})
		f.size = rings.Size // one fills up while others are empty
		return f, nil
	case !errors.Is(err, ring.ErrNone):
		return nil, err
	}
	if f.loc, err = s.kernel.TraceBuffer(); err != nil {
		return nil, err
	}
	f.size = f.loc.Size
	return f, nil
}

// Guest describes whose traces these are.
func (f *TraceFollower) Guest() *stream.Guest { return f.guest }

// Rings reports whether records come from rings, which never fill up.
func (f *TraceFollower) Rings() bool { return f.rings != nil }

// Poll reads what was added since the last reading. Where it fails the reading has what
// was read until then.
func (f *TraceFollower) Poll(ctx context.Context) (*TraceReading, error) {
	r := &TraceReading{After: f.last, Before: time.Now()}
	now := r.Before
	f.s.Look()
	if f.rings != nil {
		err := f.pollRings(ctx, r)
		f.last = now
		return r, err
	}
	changed, err := f.pollBuffer(ctx, r)
	if err == nil && changed {
		err = f.scan(ctx, r)
	}
	f.last = now
	return r, err
}

func (f *TraceFollower) pollRings(ctx context.Context, r *TraceReading) error {
	f.data = f.data[:0]
	err := f.rings.Poll(ctx, func(rec *ring.Record) error {
		r.Lost += rec.Lost
		f.data = appendRing(f.data, rec)
		return nil
	})
	// What is told to be later than this was not there yet.
	r.Before = time.Now()
	return errors.Join(err, f.scan(ctx, r))
}

// pollBuffer leaves in f.data what the plain buffer has that it had not before.
func (f *TraceFollower) pollBuffer(ctx context.Context, r *TraceReading) (changed bool, err error) {
	var now [16]byte
	ranges := []target.Range{{Addr: f.loc.Writep, Data: now[:8]}, {Addr: f.loc.Free, Data: now[8:]}}
	if err := target.ReadMany(ctx, f.mem, ranges); err != nil {
		return false, mark(err, ErrUnreachable)
	}
	for i := range ranges {
		if ranges[i].N < 8 {
			return false, fmt.Errorf("the trace buffer's pointers: %w", ranges[i].Err)
		}
	}
	if now == f.pointers {
		return false, nil
	}
	snap, err := tracebuf.Read(ctx, f.mem, f.loc)
	if err != nil {
		return false, err
	}
	r.Before = time.Now()
	f.pointers = now
	r.Full = snap.Info.Full
	data := snap.Data[:whole(snap.Data, f.guest.Definitions, f.slide)]
	if snap.Info.Torn || len(data) < len(snap.Data) {
		f.pointers = [16]byte{} // the guest was writing: it is looked at again
	}
	was := f.known
	f.known = bufferOf(data)
	switch {
	case was.n <= len(data) && bufferOf(data[:was.n]) == was:
		f.data = append(f.data[:0], data[was.n:]...)
	case len(data) > 0 && len(data) < was.n && f.known.head == was.head:
		// It was set back to when it had less.
		f.data = f.data[:0]
		f.restored(r)
	default:
		f.data = append(f.data[:0], data...) // emptied meanwhile
	}
	return true, nil
}

// buffered is what is remembered of a plain buffer's contents.
type buffered struct {
	n    int
	sum  uint64
	head [64]byte // how they begin: with the time and the tracepoint of the first record
}

func bufferOf(data []byte) (b buffered) {
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	h.Write(data) // never fails
	b.n, b.sum = len(data), h.Sum64()
	copy(b.head[:], data)
	return b
}

// restored notes that the guest was set back.
func (f *TraceFollower) restored(r *TraceReading) {
	if r.Restored {
		return
	}
	r.Restored = true
	f.pairer.Restart()
	f.position, f.newest = 0, 0
}

// scan makes spans of f.data.
func (f *TraceFollower) scan(ctx context.Context, r *TraceReading) error {
	if slide, ok := tracebuf.InferSlide(f.data, f.guest.Definitions); ok && !f.slid {
		f.slide, f.slid = slide, true
	}
	if r.Lost > 0 {
		f.pairer.Gap()
	}
	r.Used = min(1, float64(len(f.data))/float64(max(f.size, 1)))
	sc := tracebuf.NewScanner(f.data, f.guest.Definitions, f.slide)
	for sc.Scan() {
		rec := sc.Record()
		if rec.Problem != tracebuf.Good {
			r.Bad++
			f.pairer.Gap()
			continue
		}
		if f.any && rec.Time+uint64(forgotten) < f.newest {
			f.restored(r)
		}
		if r.Records == 0 {
			r.First = rec.Time
		}
		r.Records++
		f.newest, f.any = max(f.newest, rec.Time), true
		r.Last = f.newest
		f.position = max(rec.Time<<8, f.position+1)
		rec.Position = f.position
		f.nameThreads(ctx, rec)
		if sp, ok := f.pairer.Add(rec); ok {
			cpu := exporters.CPU{}
			if sp.Enter.Ext != nil {
				cpu = exporters.CPU{ID: int(sp.Enter.Ext.CPU), Known: true}
			}
			out := spanOf(&sp, f.numbers.of(sp.Thread), cpu)
			r.Spans = append(r.Spans, out)
		}
	}
	return nil
}

// nameThreads asks for the threads' names where a record's thread has none, now and
// then: threads come and go.
func (f *TraceFollower) nameThreads(ctx context.Context, rec *tracebuf.Record) {
	if rec.Ext == nil || rec.Ext.Thread == 0 || f.guest.ThreadName(rec.Ext.Thread) != "" || time.Since(f.named) < nameEvery {
		return
	}
	f.named = time.Now()
	f.guest.NameThreads(f.s.threadNames(ctx)...)
}
