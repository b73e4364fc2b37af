package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// brief is a guest behind a stub that runs but for short stops, in which it is
// read: what a stub's Observer must do who may not stop it for longer than a cap.
// A guest that was found paused, or that somebody pauses meanwhile, is only read.
type brief struct {
	a      *guard.Attachment
	max    time.Duration
	budget float64 // the part of the time it may stand, 0 for any

	mu      sync.Mutex
	began   time.Time
	stopped bool // by us, just now
	since   time.Time
	turn    int // counts stops, so that an old timer ends no new one
	status  string
	bye     *target.Farewell
}

const (
	// briefIdle is how long a stop waits for another read.
	briefIdle = 100 * time.Microsecond
	// briefRate is what one millisecond of a stop reads for certain, in bytes: a
	// third of what QEMU's stub does on an idle machine.
	briefRate = 8 << 10
	// briefUse is the part of the cap after which no read is begun.
	briefUse = 0.5
	// DefaultMaxPause is the cap where brief stops are asked for without one.
	DefaultMaxPause = 2 * time.Millisecond
)

// newBrief lets the guest run, which Attach has just stopped.
func newBrief(ctx context.Context, a *guard.Attachment, opt guard.Options) (*brief, error) {
	b := &brief{a: a, max: opt.MaxPause, budget: opt.PauseBudget, began: time.Now(), status: "running"}
	if b.max <= 0 {
		b.max = DefaultMaxPause
	}
	if running, known := a.FoundRunning(); known && !running {
		b.status = "paused"
		return b, nil
	}
	if err := a.Interruptible(); err != nil {
		return nil, fmt.Errorf("reading the guest in stops of at most %v stops it again and again, which is %w", b.max, err)
	}
	return b, a.Resume(ctx)
}

// lend gives the attachment to somebody who stops the guest by it for as short,
// until the function it returns is called. The guest runs, if it may.
func (b *brief) lend(ctx context.Context) (giveBack func(), err error) {
	b.mu.Lock()
	b.turn++
	if b.stopped {
		err = b.goOn(ctx)
	}
	if err != nil {
		b.mu.Unlock()
		return nil, err
	}
	return func() {
		// Somebody else's stop is theirs to end.
		b.stopped = b.a.Stands() && b.status == "running"
		b.mu.Unlock()
	}, nil
}

// Monitor runs a command of the VMM's in a stop.
func (b *brief) Monitor(ctx context.Context, command string) (text string, err error) {
	err = b.again(ctx, func() (err error) {
		text, err = b.a.Monitor(ctx, command)
		return err
	})
	return text, err
}

// during runs f, which reads what takes no longer than a small part of the cap,
// while the guest stands.
func (b *brief) during(ctx context.Context, f func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.halt(ctx); err != nil {
		return err
	}
	err := f()
	if !b.stopped {
		return err
	}
	if errors.Is(err, target.ErrLapsed) {
		return errors.Join(err, b.goOn(ctx)) // it runs already
	}
	if time.Since(b.since) > time.Duration(briefUse*float64(b.max)) {
		return errors.Join(err, b.goOn(ctx))
	}
	turn := b.turn
	time.AfterFunc(briefIdle, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.stopped && b.turn == turn {
			_ = b.goOn(context.Background()) // a lost link shows at the next read
		}
	})
	b.turn++
	return err
}

// halt stops the guest if it runs; mu is held.
func (b *brief) halt(ctx context.Context) error {
	b.turn++
	if b.stopped || !b.running() {
		return nil
	}
	if err := b.earn(ctx); err != nil {
		return err
	}
	b.since = time.Now()
	if err := b.a.Interrupt(ctx); err != nil {
		return fmt.Errorf("stopping the guest to read it: %w", err)
	}
	late := time.After(interruptPatience)
	for {
		select {
		case ev, ok := <-b.a.Events():
			switch {
			case !ok:
				return target.ErrLost
			case ev.Kind == target.EventStopped:
				// Somebody else's stop is theirs to end.
				b.stopped = ev.Stop.Reason == target.StopInterrupt
				return nil
			case ev.Kind == target.EventExited:
				return fmt.Errorf("%w: the guest has ended", target.ErrLost)
			case ev.Kind == target.EventLost:
				return ev.Err
			}
		case <-late:
			return fmt.Errorf("the guest did not stop within %v of being asked", interruptPatience)
		}
	}
}

// running takes what happened meanwhile and reports whether the guest runs.
func (b *brief) running() bool {
	for {
		select {
		case ev, ok := <-b.a.Events():
			if !ok {
				return false // the next read says why
			}
			if ev.Kind == target.EventStopped && ev.Stop.Reason == target.StopInterrupt {
				b.stopped, b.since = true, time.Now()
				return false
			}
		default:
			return b.a.Running()
		}
	}
}

// earn waits until another stop, of the longest kind there is by default, is within
// the budget. One that takes longer is earned before the next.
func (b *brief) earn(ctx context.Context) error {
	if b.budget <= 0 {
		return nil
	}
	needed := time.Duration(float64(b.a.Stats().Stopped+min(b.max, DefaultMaxPause)) / b.budget)
	wait := time.NewTimer(needed - time.Since(b.began))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// goOn lets the guest run again; mu is held.
func (b *brief) goOn(ctx context.Context) error {
	b.stopped = false
	return b.a.Resume(context.WithoutCancel(ctx))
}

func (b *brief) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	r := []target.Range{{Addr: addr, Data: p}}
	err := b.ReadMany(ctx, r)
	if err == nil {
		err = r[0].Err
	}
	return r[0].N, err
}

// briefTries bounds how often a read is begun again that was cut short by the cap,
// each time with half as much in one stop.
const briefTries = 64

// again runs f, in one stop, until the cap does not cut it short.
func (b *brief) again(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := b.during(ctx, f)
		if !errors.Is(err, target.ErrLapsed) {
			return err
		}
		if try == briefTries {
			return b.tooSlow(try)
		}
	}
}

// tooSlow says that the promise cannot be kept here.
func (b *brief) tooSlow(tries int) error {
	return fmt.Errorf("%w: in %d stops in a row nothing could be read within %v on this machine; allow more by --max-pause, or observe the guest without stops (qmp:, pid:)", target.ErrLapsed, tries, b.max)
}

// ReadMany cuts what it reads into stops within the cap, and smaller ones where
// the cap cuts them short.
func (b *brief) ReadMany(ctx context.Context, ranges []target.Range) error {
	quota := max(512, int(briefUse*float64(b.max)/float64(time.Millisecond)*briefRate))
	for try := 1; ; try++ {
		err := b.readMany(ctx, ranges, quota)
		if !errors.Is(err, target.ErrLapsed) {
			return err
		}
		if try == briefTries {
			return b.tooSlow(try)
		}
		quota = max(256, quota/2)
	}
}

func (b *brief) readMany(ctx context.Context, ranges []target.Range, quota int) error {
	for i := range ranges {
		ranges[i].N, ranges[i].Err = 0, nil
	}
	var batch []target.Range
	var whose []int
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := b.during(ctx, func() error { return b.a.ReadMany(ctx, batch) })
		for i, r := range batch {
			to := &ranges[whose[i]]
			if to.Err == nil && to.Addr+uint64(to.N) == r.Addr {
				to.N, to.Err = to.N+r.N, r.Err
			}
		}
		batch, whose, size = batch[:0], whose[:0], 0
		return err
	}
	for i := range ranges {
		for off := 0; off < len(ranges[i].Data) && ranges[i].Err == nil; {
			n := min(len(ranges[i].Data)-off, quota-size)
			batch = append(batch, target.Range{Addr: ranges[i].Addr + uint64(off), Data: ranges[i].Data[off : off+n]})
			whose = append(whose, i)
			off, size = off+n, size+n
			if size >= quota {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

func (b *brief) ReadRegisters(ctx context.Context, cpu target.CPU) (regs target.Regs, err error) {
	err = b.again(ctx, func() (err error) {
		regs, err = b.a.ReadRegisters(ctx, cpu)
		return err
	})
	return regs, err
}

func (b *brief) ReadSystemRegisters(ctx context.Context, cpu target.CPU) (m map[string][]byte, err error) {
	err = b.again(ctx, func() (err error) {
		m, err = b.a.ReadSystemRegisters(ctx, cpu)
		return err
	})
	return m, err
}

func (b *brief) CPUs(ctx context.Context) (list []target.CPU, err error) {
	err = b.again(ctx, func() (err error) {
		list, err = b.a.CPUs(ctx)
		return err
	})
	return list, err
}

// Physical is not given: the stub would have to be told and told back in one
// stop with the reading.
func (b *brief) Physical() target.Memory { return nil }

func (b *brief) Forget()                            {}
func (b *brief) Arch() *arch.Arch                   { return b.a.Arch() }
func (b *brief) Status() string                     { return b.status }
func (b *brief) Cost() monitorCost                  { return monitorCost{} }
func (b *brief) MonitorSocket() (qmp.Monitor, bool) { return qmp.Monitor{}, false }
func (b *brief) Stubs() []string                    { return nil }
func (b *brief) Hints() []uint64                    { return nil }

// Describe tells what the stub can, and how it is used.
func (b *brief) Describe() [][2]string {
	return append(b.a.Describe(), [2]string{"stops", b.limits()})
}

func (b *brief) limits() string {
	text := fmt.Sprintf("at most %v each", b.max)
	if b.budget > 0 {
		text += fmt.Sprintf(", %.3g %% of the time", 100*b.budget)
	}
	return text
}

// Close gives the guest back.
func (b *brief) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveBrief)
	defer cancel()
	_, err := b.leave(ctx)
	return err
}

// leaveBrief bounds the leaving in all.
const leaveBrief = 10 * time.Second

func (b *brief) leave(ctx context.Context) (target.Farewell, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bye != nil {
		return *b.bye, nil
	}
	b.turn++
	b.stopped = false
	bye, err := b.a.Leave(ctx)
	b.bye = &bye
	return bye, err
}
