package ukdbg

import (
	"context"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
)

// ringDrainer follows uktrace's rings. Where the guest's memory can be read while
// it runs, it is never stopped.
type ringDrainer struct {
	r      *recorder
	rings  *ring.Rings
	reader *ring.Reader
	// run is set where each reading needs a stop.
	run     profiler.Guest
	shadow  observer
	stopped time.Time
	last    time.Time // the reading before
	data    []byte
	ended   bool
}

func newRingDrainer(r *recorder, rings *ring.Rings) (*ringDrainer, error) {
	s := r.s
	d := &ringDrainer{r: r, rings: rings, stopped: time.Now()}
	if s.live != nil {
		d.run = profiler.Control(s.live)
		shadow, err := s.openShadow(context.Background())
		if err != nil {
			r.stats.Unseen = err.Error()
		} else {
			opened, err := ring.Open(context.Background(), shadow, s.kernelImage, s.mapping.Slide)
			if err != nil {
				return nil, err
			}
			d.shadow, d.rings = shadow, opened
		}
	}
	d.reader = d.rings.NewReader(r.guest.Definitions, r.slide, ring.Options{})
	return d, nil
}

func (d *ringDrainer) close() error {
	if d.shadow == nil {
		return nil
	}
	return d.shadow.Close()
}

func (d *ringDrainer) drain(ctx context.Context) error {
	if d.ended {
		return nil
	}
	s := d.r.s
	if d.shadow != nil {
		d.shadow.Forget()
	} else {
		s.newEpoch()
	}
	now := time.Now()
	rd := reading{after: 0, size: d.rings.Size * uint64(d.rings.CPUs)}
	if !d.last.IsZero() {
		rd.after, rd.ran = d.last.UnixNano(), now.Sub(d.last)
	}
	d.data = d.data[:0]
	err := d.reader.Poll(ctx, func(rec *ring.Record) error {
		rd.lost += rec.Lost
		// One that is damaged is recorded too, and counted as such.
		d.data = appendRing(d.data, rec)
		return nil
	})
	if err != nil {
		return err
	}
	// What is told to be later than this was not there yet.
	rd.before = time.Now().UnixNano()
	d.last = now
	rd.data = d.data
	// The guest runs on; the first time it is let run, as it was found.
	if d.run != nil && !d.run.Running() {
		if err := d.resume(ctx); err != nil {
			return err
		}
	}
	return d.r.write(ctx, rd)
}

func (d *ringDrainer) resume(ctx context.Context) error {
	if err := d.run.Resume(ctx); err != nil {
		return mark(err, ErrUnreachable)
	}
	d.r.stats.stood(time.Since(d.stopped))
	return nil
}

func (d *ringDrainer) wait(ctx context.Context, period time.Duration) (ended bool, err error) {
	select {
	case <-ctx.Done():
	case <-time.After(period):
	}
	if d.run == nil {
		d.r.s.Look()
	}
	if d.run == nil || d.shadow != nil {
		return ctx.Err() != nil, nil
	}
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptPatience)
	defer cancel()
	stop, at, err := d.run.Stop(work)
	if err != nil {
		return true, mark(err, ErrUnreachable)
	}
	d.stopped = at
	if stop.Reason != target.StopInterrupt {
		d.ended, d.r.stats.Gone = true, "the guest was stopped by another than this recording, and is left so"
		return true, nil
	}
	return ctx.Err() != nil, nil
}
