package ukdbg

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// bufferDrainer reads the plain buffer and resets it with the guest stopped.
type bufferDrainer struct {
	r      *recorder
	loc    tracebuf.Location
	run    profiler.Guest
	points *tracepoints
	stub   target.Memory // what the shadow stands in for
	shadow observer      // reads the guest's memory while it runs, nil if that cannot be
	// peeked is what was read of the buffer while the guest ran.
	peeked []byte
	// previous is what the buffer held when it was last read; kept: it was not
	// emptied then.
	previous []byte
	kept     bool
	stopped  time.Time // when the guest was stopped
	resumed  time.Time // when it was let run, zero before the first time
	// taken: an observed guest was taken over for this.
	taken bool
	// foreign: somebody else stopped the guest, which then is not ours to run.
	ended, foreign bool
}

func newBufferDrainer(ctx context.Context, r *recorder) (*bufferDrainer, error) {
	s := r.s
	b := &bufferDrainer{r: r, points: newTracepoints(s, r.guest.Definitions)}
	if s.Observing() {
		// The buffer is reset while the guest stands still.
		if err := s.TakeOver(ctx); err != nil {
			return nil, fmt.Errorf("recording empties the buffer, for which the guest must stand still for a moment: %w", err)
		}
		b.taken = true
	}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// open looks at the ways to the guest.
func (b *bufferDrainer) open(ctx context.Context) error {
	s := b.r.s
	if s.live == nil {
		return ErrNotLive
	}
	b.stopped = time.Now()
	if l, ok := s.live.(interface{ Interruptible() error }); ok {
		if err := l.Interruptible(); err != nil {
			return fmt.Errorf("recording stops the guest again and again, which is %w", err)
		}
	}
	if f, ok := s.live.(interface{ FoundRunning() (bool, bool) }); ok {
		if running, known := f.FoundRunning(); known && !running {
			return errors.New("the guest was found paused: somebody must let it run before its traces are recorded (list shows what is in the buffer)")
		}
	}
	var err error
	if b.loc, err = s.kernel.TraceBuffer(); err != nil {
		return err
	}
	b.run = profiler.Control(s.live)
	switch {
	case b.taken:
		b.shadow = s.observer
	default:
		if b.shadow, err = s.openShadow(ctx); err != nil {
			b.r.stats.Unseen = err.Error()
			return nil
		}
	}
	// In the VMM's process the stopped guest's stacks are read much faster than
	// through the stub.
	if c, ok := s.mem.(*cache); ok {
		b.stub, c.mem = c.mem, b.shadow
	}
	return nil
}

func (b *bufferDrainer) close() error {
	s := b.r.s
	if c, ok := s.mem.(*cache); ok && b.stub != nil {
		c.mem = b.stub
	}
	s.newEpoch()
	if b.taken {
		ctx, cancel := context.WithTimeout(context.Background(), interruptPatience)
		defer cancel()
		_, err := s.Release(ctx)
		return err
	}
	if b.shadow == nil {
		return nil
	}
	return b.shadow.Close()
}

// drain reads and resets the buffer of the stopped guest.
func (b *bufferDrainer) drain(ctx context.Context) error {
	s := b.r.s
	s.newEpoch()
	if b.shadow != nil {
		b.shadow.Forget()
	}
	if b.ended {
		return nil
	}
	empty := !b.foreign
	if !b.foreign {
		at, err := b.points.leave(ctx, b.run)
		switch {
		case errors.Is(err, errNeverOutside):
			// What is there is read, and the buffer emptied another time.
			empty = false
			b.r.stats.Kept++
		case err != nil:
			return err
		}
		if !at.IsZero() {
			// It ran on for a moment: what was seen of the buffer is still there.
			b.stopped = at
		}
	}
	snap, err := b.read(ctx)
	if err != nil {
		return err
	}
	if empty && (len(snap.Data) > 0 || snap.Info.Full) {
		if err := b.reset(ctx); err != nil {
			return err
		}
	}
	fresh := b.fresh(snap.Data, empty)
	d := reading{data: fresh, before: b.stopped.UnixNano(), full: snap.Info.Full, size: b.loc.Size}
	if !b.resumed.IsZero() {
		d.after, d.ran = b.resumed.UnixNano(), b.stopped.Sub(b.resumed)
	}
	if !b.foreign {
		if err := b.resume(ctx); err != nil {
			return err
		}
	}
	return b.r.write(ctx, d)
}

// fresh is the part of a buffer's contents that was not read before. It begins
// with what was read before where the buffer could not be emptied then, or
// somebody was inside a tracepoint after all and put the pointers of before back.
func (b *bufferDrainer) fresh(data []byte, emptied bool) []byte {
	known, kept := b.previous, b.kept
	b.previous, b.kept = append(b.previous[:0:0], data...), !emptied
	if len(known) > 0 && bytes.HasPrefix(data, known) {
		if !kept {
			b.r.stats.Undone++
		}
		return data[len(known):]
	}
	return data
}

// read takes what is in the buffer; what was read before the guest was stopped
// is not read again.
func (b *bufferDrainer) read(ctx context.Context) (*tracebuf.Snapshot, error) {
	snap, err := tracebuf.ReadAfter(ctx, b.r.s.mem, b.loc, b.peeked)
	b.peeked = nil
	return snap, err
}

// reset empties the buffer: the write pointer first, then what is free. Between
// the two the guest believes there is less room than there is, and never more,
// so that whoever dies in between leaves it writing inside the buffer. Each write
// is journaled before it is sent.
func (b *bufferDrainer) reset(ctx context.Context) error {
	return resetBuffer(ctx, b.r.s.live, b.loc)
}

func resetBuffer(ctx context.Context, w target.MemoryWriter, loc tracebuf.Location) error {
	var p [8]byte
	binary.LittleEndian.PutUint64(p[:], loc.Buffer)
	if err := w.WriteMemory(ctx, p[:], loc.Writep); err != nil {
		return fmt.Errorf("resetting the trace buffer's write pointer: %w", err)
	}
	binary.LittleEndian.PutUint64(p[:], loc.Size)
	if err := w.WriteMemory(ctx, p[:], loc.Free); err != nil {
		return fmt.Errorf("resetting the trace buffer's free bytes: %w", err)
	}
	return nil
}

func (b *bufferDrainer) resume(ctx context.Context) error {
	b.resumed = time.Now()
	if err := b.run.Resume(ctx); err != nil {
		return mark(err, ErrUnreachable)
	}
	b.r.s.drained = true
	b.r.s.newEpoch()
	b.r.stats.stood(time.Since(b.stopped))
	return nil
}

// wait lets the guest run for a while and stops it.
func (b *bufferDrainer) wait(ctx context.Context, d time.Duration) (ended bool, err error) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptPatience)
	defer cancel()
	if b.shadow != nil {
		b.peek(work)
	}
	stop, at, err := b.run.Stop(work)
	switch {
	case errors.Is(err, profiler.ErrEnded):
		b.ended, b.r.stats.Gone = true, err.Error()
		return true, nil
	case err != nil:
		return true, mark(err, ErrUnreachable)
	}
	b.stopped = at
	b.r.s.newEpoch()
	if stop.Reason != target.StopInterrupt {
		b.foreign = true
		b.r.stats.Gone = "the guest was stopped by another than this recording, and is left so"
		return true, nil
	}
	return ctx.Err() != nil, nil
}

// peek reads what is in the buffer while the guest runs: nobody but us takes
// away what was written before the write pointer.
func (b *bufferDrainer) peek(ctx context.Context) {
	b.shadow.Forget()
	snap, err := tracebuf.Read(ctx, b.shadow, b.loc)
	if err == nil && !snap.Info.Overrun {
		b.peeked = snap.Data[:whole(snap.Data, b.r.guest.Definitions, b.r.slide)]
	}
}

// whole is how much of a running guest's buffer is surely complete: Unikraft
// moves the write pointer on before it gives the last record its magic number.
func whole(data []byte, defs *tracebuf.Definitions, slide uint64) (end int) {
	for sc := tracebuf.NewScanner(data, defs, slide); sc.Scan(); {
		if r := sc.Record(); r.Problem == tracebuf.Good {
			end = r.Offset + r.Size
		}
	}
	return end
}
