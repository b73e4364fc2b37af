package listing

import (
	"errors"
	"io"
	"runtime"
	"sync"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/filter"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// job is a chunk on its way through the workers.
type job struct {
	chunk   stream.Chunk
	records []byte // the chunk's, copied or decompressed
	block   recording.Block
	spare   []byte // the block's bytes
	threads []string
	out     []byte
	stats   tracebuf.Stats
	chosen  uint64
	done    chan struct{}
}

// All writes every record of one guest that matches, nil for all, in the order
// of the source, and returns what it met; spans are not among it. Chunks are made
// into lines by several goroutines.
func (l *Lister) All(src stream.Source, where *filter.Filter) (_ *analysis.Totals, err error) {
	workers := l.opt.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if r, ok := src.(*stream.Recording); ok {
		r.Lazy = true
	}
	jobs := make(chan *job)
	ordered := make(chan *job, 2*workers)
	free := make(chan *job, workers+2)
	for range cap(free) {
		free <- &job{done: make(chan struct{}, 1)}
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var vals []tracebuf.Value
			for j := range jobs {
				l.opt.format(j, where, &vals)
				j.done <- struct{}{}
			}
		})
	}
	stop := make(chan struct{})
	var readErr error
	wg.Go(func() {
		defer close(jobs)
		defer close(ordered)
		readErr = l.feed(src, free, jobs, ordered, stop)
	})
	met := tally{totals: &analysis.Totals{}}
	for j := range ordered {
		<-j.done
		met.add(j)
		if err == nil {
			if len(l.buf) > 0 {
				err = l.Flush()
			}
			if err == nil {
				_, err = l.w.Write(j.out)
			}
			if err != nil {
				close(stop)
			}
		}
		free <- j
	}
	wg.Wait()
	if err == nil && !errors.Is(readErr, errEnd) {
		err = readErr
	}
	return met.totals, err
}

// tally adds up what was met, in order.
type tally struct {
	totals *analysis.Totals
	guest  *analysis.GuestTotals
}

func (t *tally) add(j *job) {
	c := &j.chunk
	if c.Damage != nil || c.Lost != nil {
		t.totals.AddGap(c)
		return
	}
	if t.guest == nil || t.guest.Guest != c.Guest {
		t.guest = &analysis.GuestTotals{Guest: c.Guest, First: j.stats.First, Threads: len(j.threads) > 0}
		t.totals.Guests = append(t.totals.Guests, t.guest)
	}
	s, g := &j.stats, t.guest
	if s.Records > 0 {
		if g.Records == 0 {
			g.First = s.First
		} else if s.First < g.Last {
			t.totals.Backwards++
		}
		g.Last = s.Last
	}
	g.Records += uint64(s.Records)
	t.totals.Records += uint64(s.Records)
	t.totals.Chosen += j.chosen
	t.totals.Bad += uint64(s.Bad)
	t.totals.Skipped += uint64(s.Skipped)
	t.totals.Backwards += uint64(s.Backwards)
	if s.Half {
		t.totals.Half++
	}
}

// feed hands the chunks out to the workers, and to the writer in order.
func (l *Lister) feed(src stream.Source, free <-chan *job, jobs, ordered chan<- *job, stop <-chan struct{}) error {
	var follow follower
	for {
		select {
		case <-stop:
			return errEnd
		default:
		}
		c, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		j := <-free
		// The source uses its memory again.
		j.chunk = *c
		if c.Block != nil {
			j.block = c.Block.Keep(j.spare)
			j.spare, j.chunk.Block = j.block.Spare(), &j.block
			if c.Guest.Switch != nil {
				j.load() // the threads are told by all records in order
			}
		} else {
			j.records = append(j.records[:0], c.Records...)
			j.chunk.Records = j.records
		}
		if c.Lost != nil {
			lost := *c.Lost
			j.chunk.Lost = &lost
		}
		j.threads = follow.threads(j.threads[:0], &j.chunk)
		jobs <- j
		ordered <- j
	}
}

// load decompresses the job's records.
func (j *job) load() {
	b := j.chunk.Block
	if b == nil {
		return
	}
	j.chunk.Block = nil
	body, err := b.Body(j.records)
	if err != nil {
		j.chunk.Damage = &stream.Damage{Offset: b.Offset, Size: b.Size, Reason: err.Error()}
		return
	}
	j.records, j.chunk.Records = body, body
}

// follower tells the thread of each record, which only all records in order
// can; it does nothing where threads are not told.
type follower struct {
	guest  *stream.Guest
	pairer *tracebuf.Pairer
}

func (f *follower) threads(dst []string, c *stream.Chunk) []string {
	if c.Guest == nil || c.Lost != nil || c.Damage != nil || c.Block != nil {
		return dst
	}
	if f.guest != c.Guest {
		f.guest, f.pairer = c.Guest, c.Guest.Pairer()
	}
	if c.Guest.Switch == nil && !extended(c.Records) {
		return dst
	}
	sc := c.Scanner()
	for sc.Scan() {
		f.pairer.Follow(sc.Record())
		dst = append(dst, f.pairer.Thread())
	}
	return dst
}

// extended tells whether records begin with an extended one.
func extended(records []byte) bool { return len(records) > 3 && records[3] == 'x' }

// format makes the lines of a chunk.
func (o *Options) format(j *job, where *filter.Filter, vals *[]tracebuf.Value) {
	j.out, j.stats, j.chosen = j.out[:0], tracebuf.Stats{}, 0
	c := &j.chunk
	j.load()
	switch {
	case c.Damage != nil:
		j.out = o.damage(j.out, c.Damage)
		return
	case c.Lost != nil:
		j.out = o.gap(j.out, c.Guest, c.Lost)
		return
	}
	ln := line{guest: c.Guest.Label(), cpu: -1, names: namesOf(c.Guest)}
	sc := c.Scanner()
	for i := 0; sc.Scan(); i++ {
		r := sc.Record()
		ln.rec, ln.unix, ln.cpu = r, 0, -1
		if len(j.threads) > i {
			ln.thread = j.threads[i]
		}
		if r.Problem == tracebuf.Good {
			if r.Ext != nil {
				ln.cpu = int(r.Ext.CPU)
			}
			if where != nil && !where.Empty() && !where.Match(&filter.Subject{Record: r, Thread: ln.thread, Guest: ln.guest, CPU: ln.cpu}) {
				continue
			}
			j.chosen++
			if o.Form != Text || o.HostTime {
				ln.unix = c.Clock.Unix(r.Time)
			}
		}
		j.out = o.append(j.out, &ln, vals)
	}
	j.stats = sc.Stats()
}
