package ukdbg

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// RecordOptions say how a trace is recorded.
type RecordOptions struct {
	// Out gets the recording, each block in one Write.
	Out io.Writer
	// For is how long, 0 until the context ends, which is no failure.
	For time.Duration
	// Every is the longest time between two readings of the buffer, 100 ms if
	// 0. Where the buffer fills faster it is read more often.
	Every time.Duration
	// Program is what the recording names as its writer.
	Program string
	// Progress, if set, is called after each reading.
	Progress func(RecordStats)
}

// RecordStats is what a recording has so far.
type RecordStats struct {
	recording.End
	// Bad counts stretches that are no records; Bytes is what was written.
	Bad   uint64
	Bytes int64
	// Stops is how often the guest was stopped; Unseen tells why its memory
	// could not be read without a stop, "" if it could.
	Stops  int
	Unseen string
	// Undone counts resets that a tracepoint under way took back; what was read
	// then is not recorded twice.
	Undone uint64
	// Kept counts readings after which the buffer was not emptied, because the
	// guest was inside a tracepoint whenever it was looked at.
	Kept uint64
	// Gone: the guest ended, or somebody else stopped it and it stayed so.
	Gone string
}

// stood counts a stop of the guest.
func (st *RecordStats) stood(d time.Duration) {
	st.Stops++
	st.Stopped += int64(d)
	st.Longest = max(st.Longest, int64(d))
}

const (
	defaultEvery = 100 * time.Millisecond
	leastPeriod  = 2 * time.Millisecond
	// forgotten is how far a guest's clock may go back without having been
	// restored: processors differ a little.
	forgotten = 10 * time.Millisecond
)

// RecordTrace drains the trace buffer again and again, so that tracing never
// stops, and writes what it reads. The guest is stopped for each draining and
// left stopped, as it is throughout a session; rings are read without a stop
// where memory can be.
func (s *Session) RecordTrace(ctx context.Context, opt RecordOptions) (RecordStats, error) {
	if opt.Every == 0 {
		opt.Every = defaultEvery
	}
	g, err := s.traceGuest(ctx)
	if err != nil {
		return RecordStats{}, err
	}
	if opt.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opt.For)
		defer cancel()
	}
	r := &recorder{s: s, opt: opt, guest: g, w: recording.NewWriter(opt.Out, 0), period: opt.Every, slide: s.mapping.Slide}
	rings, err := s.rings(ctx)
	switch {
	case err == nil:
		r.drainer, err = newRingDrainer(r, rings)
	case errors.Is(err, ring.ErrNone):
		r.drainer, err = newBufferDrainer(ctx, r)
	}
	if err != nil {
		return RecordStats{}, err
	}
	err = errors.Join(r.run(ctx), r.drainer.close())
	r.stats.Bytes = r.w.Bytes()
	return r.stats, err
}

// drainer reads a guest's records.
type drainer interface {
	// drain reads what came since the last time and hands it to the recorder.
	drain(ctx context.Context) error
	// wait lets the guest record for a while; ended says that it should be the
	// last time.
	wait(ctx context.Context, d time.Duration) (ended bool, err error)
	close() error
}

type recorder struct {
	s       *Session
	opt     RecordOptions
	guest   *stream.Guest
	w       *recording.Writer
	drainer drainer
	slide   uint64
	slid    bool // the slide is proved by records
	period  time.Duration
	stats   RecordStats

	segment recording.Segment
	began   bool
	last    uint64 // guest time of the newest record
	any     bool
	high    int64 // upper bound of host minus guest time at the last reading
	before  int64
	full    bool // the last reading found a full buffer
}

// reading is what one draining gave.
type reading struct {
	data []byte
	// after and before are the host's times between which it was written, Unix
	// nanoseconds; after is 0 if not known.
	after, before int64
	full          bool
	// lost records are missing before it, as the guest counts.
	lost uint64
	size uint64 // of the buffer
	ran  time.Duration
}

// begin writes what opens a recording.
func (r *recorder) begin(ctx context.Context, first []byte, size uint64) error {
	st := r.guest.Start
	st.Program, st.Started, st.Buffer = r.opt.Program, time.Now().UnixNano(), size
	st.Instance = r.s.instance(ctx, first)
	section, err := r.s.image.SectionData(definitionsSection)
	if err != nil {
		return err
	}
	if err := r.w.Start(st, section); err != nil {
		return err
	}
	r.segment.Reason = "start"
	r.began = true
	names := recording.Threads{Threads: r.s.threadNames(ctx)}
	return errors.Join(r.w.Threads(names), r.w.Segment(r.segment))
}

// write appends a reading to the file.
func (r *recorder) write(ctx context.Context, d reading) error {
	if !r.began {
		if err := r.begin(ctx, d.data, d.size); err != nil {
			return err
		}
	}
	r.stats.Drains++
	if slide, ok := tracebuf.InferSlide(d.data, r.guest.Definitions); ok && !r.slid {
		r.slide, r.slid = slide, true
	}
	head := recording.Data{Drain: r.stats.Drains - 1, After: d.after, Before: d.before, Slide: r.slide}
	if d.full {
		head.Flags |= recording.Full
	}
	first, last, any := r.times(d.data)
	if any {
		if err := r.newSegment(first, last, &d); err != nil {
			return err
		}
	}
	head.Segment = r.segment.Number
	if r.any && (r.full && any || d.lost > 0) {
		l := recording.Lost{Segment: head.Segment, Reason: recording.LostFull, From: r.last, Records: recording.Unknown}
		if any {
			l.To = max(first, r.last)
		}
		if d.lost > 0 {
			l.Reason, l.Records = recording.LostOverwritten, d.lost
		}
		r.stats.LostPeriods++
		r.stats.Lost += l.Length()
		if err := r.w.Lost(l); err != nil {
			return err
		}
	}
	if any || len(d.data) > 0 {
		st, err := r.w.Records(head, d.data, r.guest.Definitions)
		if err != nil {
			return err
		}
		r.stats.Records += uint64(st.Records)
		r.stats.Bad += uint64(st.Bad)
	}
	if any {
		r.any, r.last = true, last
	}
	r.full = r.full && !any || d.full
	r.adapt(&d)
	r.stats.Bytes = r.w.Bytes()
	if r.opt.Progress != nil {
		r.opt.Progress(r.stats)
	}
	return nil
}

// times are those of the first and the last good record.
func (r *recorder) times(data []byte) (first, last uint64, any bool) {
	sc := tracebuf.NewScanner(data, r.guest.Definitions, r.slide)
	for sc.Scan() {
	}
	st := sc.Stats()
	return st.First, st.Last, st.Records > 0
}

// newSegment opens one where the guest's clock went back, or where much more of
// the host's time has passed than of the guest's.
func (r *recorder) newSegment(first, last uint64, d *reading) error {
	seg := r.segment
	high := d.before - int64(last)
	defer func() { r.high, r.before = high, d.before }()
	switch {
	case !r.any:
		return nil
	case first+uint64(forgotten) < r.last:
		seg.Reason, seg.Generation = "restore", seg.Generation+1
		seg.Paused = 0
	case d.after != 0:
		low := d.after - int64(first)
		// Our own stop is not one of the guest's.
		paused := low - r.high - (d.after - r.before)
		if paused <= int64(d.ran)*3/4+int64(20*time.Millisecond) {
			return nil
		}
		seg.Reason, seg.Paused = "pause", paused
	default:
		return nil
	}
	seg.Number++
	seg.From = first
	r.segment = seg
	return r.w.Segment(seg)
}

// adapt sets the period so that the buffer is about half full when it is read.
func (r *recorder) adapt(d *reading) {
	switch used := float64(len(d.data)) / float64(max(d.size, 1)); {
	case d.full:
		r.period /= 2
	case used > 0 && d.ran > 0:
		want := time.Duration(math.Min(float64(d.ran)*0.5/used, float64(r.opt.Every)))
		// Down at once, up slowly.
		r.period = min(want, r.period*5/4+time.Millisecond)
	default:
		r.period = r.opt.Every
	}
	r.period = max(min(r.period, r.opt.Every), leastPeriod)
}

// run drains until the context ends.
func (r *recorder) run(ctx context.Context) error {
	// What ends the recording does not end the last reading.
	work := context.WithoutCancel(ctx)
	if err := r.drainer.drain(work); err != nil {
		return err
	}
	for {
		ended, err := r.drainer.wait(ctx, r.period)
		if err != nil {
			return errors.Join(err, r.end())
		}
		if err := r.drainer.drain(work); err != nil {
			return errors.Join(err, r.end())
		}
		if ended || ctx.Err() != nil {
			return r.end()
		}
	}
}

// end writes the totals.
func (r *recorder) end() error {
	if !r.began {
		return nil
	}
	var err error
	if r.full {
		r.stats.LostPeriods++
		err = r.w.Lost(recording.Lost{Segment: r.segment.Number, Reason: recording.LostFull, From: r.last, Records: recording.Unknown})
	}
	r.stats.Ended = time.Now().UnixNano()
	return errors.Join(err, r.w.End(r.stats.End))
}
