package console

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ukdbg/ukdbg/asserts"
)

// Follower follows one console. Next is called by one goroutine; End, Stats and
// the Watcher's part may be called by others.
type Follower struct {
	ctx   context.Context
	opt   Options
	watch *Watcher
	own   bool // watch is this follower's
	sc    *asserts.Scanner

	wake  chan struct{}
	ended chan struct{}
	end   sync.Once
	// endedAt is set before ended is closed.
	endedAt time.Time

	// What is read.
	cur   *part // nil before the log is there
	queue []*part
	known []knownFile
	gen   uint64
	// since is when the last file that was read was last written.
	since time.Time
	owner uint32
	// dirSeen is the time of the last change of the folder when it had nothing new.
	dirSeen time.Time
	segs    []segment
	stream  int64
	torn    bool // the text given ends within a line
	gap     bool // what follows does not go on with what was given
	told    bool // the scanner knows that the log is quiet
	bytes   bucket
	rate    bucket

	// What is remembered.
	path    string // state file, "" for none
	lineage string
	saved   place
	savedAt time.Time
	unsaved bool   // the last attempt failed
	pending uint64 // reports counted only, since the last one returned
	// returned: Next has returned a report that may not be taken care of yet.
	returned bool

	unpacked int64 // of compressed files, since the log's end was last reached
	chased   int   // rotated files that were found before the log could be read, since then

	// glance is what the watcher compares the log with.
	glance atomic.Pointer[glance]

	mu    sync.Mutex
	stats Stats
	meta  json.RawMessage
}

type glance struct {
	file *os.File
	id   fileID
	pos  int64
	seen time.Time
}

const (
	// saveEvery is how often a place is kept while no report is returned.
	saveEvery = 10 * time.Second
	// saveAgain is how often it is tried again that failed.
	saveAgain = 2 * time.Second
)

// Follow begins to follow a console, at the place that is remembered of it. A
// log that is not there yet is waited for. The follower ends with ctx, which
// does not lose the place, and with Close.
func Follow(ctx context.Context, opt Options) (*Follower, error) {
	if len(opt.Meta) > MaxMeta {
		return nil, ErrOversize
	}
	if opt.Quiet <= 0 {
		opt.Quiet = time.Second
	}
	opt.Limits = opt.Limits.withDefaults()
	l := opt.Limits
	f := &Follower{
		ctx: ctx, opt: opt, meta: opt.Meta, watch: opt.Watcher, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		bytes: newBucket(float64(l.BytesPerSecond), float64(l.BytesPerSecond)),
		rate:  newBucket(float64(l.Burst), float64(l.PerMinute)/60),
	}
	f.sc = asserts.NewScanner((*reader)(f))
	if f.watch == nil {
		f.watch, f.own = NewWatcher(), true
	}
	if err := f.resume(); err != nil {
		f.Close()
		return nil, fmt.Errorf("following %s: %w", opt.Source.Path, err)
	}
	return f, nil
}

// Next returns the next report. The ones it returned before are taken care of
// then: they are not returned again after a restart. The error is io.EOF when
// nothing follows after End, or the context's.
func (f *Follower) Next() (Fault, error) {
	f.keep(f.returned)
	f.returned = false
	for f.sc.Scan() {
		if err := f.ctx.Err(); err != nil {
			return Fault{}, err
		}
		rep := f.sc.Fault()
		now := time.Now()
		if f.rate.left(now) < 1 {
			f.pending++
			f.count(func(s *Stats) { s.Suppressed++ })
			continue
		}
		f.rate.take(1)
		f.count(func(s *Stats) { s.Reports++ })
		f.returned = true
		return f.fault(rep, now), nil
	}
	if err := f.ctx.Err(); err != nil {
		return Fault{}, err
	}
	if err := f.sc.Err(); err != nil {
		return Fault{}, err
	}
	f.keep(true)
	return Fault{}, io.EOF
}

func (f *Follower) fault(rep *asserts.Fault, now time.Time) Fault {
	out := Fault{Fingerprint: rep.Fingerprint(nil), Report: rep, At: now, Path: f.opt.Source.Path, Suppressed: f.pending}
	f.pending = 0
	if p, off, ok := f.locate(rep.Source.ByteOffset); ok {
		out.Generation, out.Offset = p.gen, off
	}
	var b []byte
	b = append(b, f.lineage...)
	b = binary.LittleEndian.AppendUint64(b, out.Generation)
	b = binary.LittleEndian.AppendUint64(b, uint64(out.Offset))
	sum := sha256.Sum256(append(b, out.Fingerprint...))
	out.ID = hex.EncodeToString(sum[:8])
	return out
}

// End says that nothing more is written: Next returns what is left, and io.EOF.
func (f *Follower) End() {
	f.end.Do(func() {
		f.endedAt = time.Now()
		close(f.ended)
	})
}

// Close ends the follower, after Next has returned for the last time. What Next
// returned last is returned again by another one, unless Next was called since.
func (f *Follower) Close() error {
	f.watch.forget(f)
	if f.own {
		f.watch.Close()
	}
	closed := map[*part]bool{}
	for _, s := range f.segs {
		closed[s.part] = true
	}
	for _, p := range append(f.queue, f.cur) {
		if p != nil {
			closed[p] = true
		}
	}
	for p := range closed {
		p.close()
	}
	return nil
}

// SetMeta replaces Options.Meta, from the next time the place is kept on. More than
// is allowed is ErrOversize.
func (f *Follower) SetMeta(meta json.RawMessage) error {
	if len(meta) > MaxMeta {
		return ErrOversize
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meta = meta
	return nil
}

// Stats returns the counts so far. It may be called at any time.
func (f *Follower) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *Follower) count(change func(*Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

// poke wakes the follower.
func (f *Follower) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// changed reports whether there may be more to read; the watcher asks.
func (f *Follower) changed() bool {
	there, err := statLog(f.opt.Source.Path)
	g := f.glance.Load()
	if g == nil {
		return err == nil
	}
	if err == nil && there.id != g.id && there.size > 0 {
		return true
	}
	own, err := stateOf(g.file)
	return err == nil && (own.size != g.pos || !own.mtime.Equal(g.seen))
}

// show lets the watcher know what was read.
func (f *Follower) show() {
	if f.cur == nil {
		f.glance.Store(nil)
		return
	}
	f.glance.Store(&glance{f.cur.f, f.cur.id, f.cur.pos, f.cur.seen})
}
