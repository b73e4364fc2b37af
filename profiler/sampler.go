package profiler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Sampler samples one guest. Its fields say what it needs; a Sampler is used by
// one Run at a time.
type Sampler struct {
	Guest   Guest
	Machine Machine
	Unwind  Unwind
	// Unstopped: Guest.Stop stops nothing; the guest is looked at while it runs.
	// No pause is counted, and none limits the rate.
	Unstopped bool
	// Symbolize may be nil: addresses stay without names.
	Symbolize Symbolize
	// Threads may be nil: threads are not told apart.
	Threads Threads
	// Code may be nil; see Capture.Code.
	Code target.Memory
	// Walk, if set, takes the samples: of every thread, not of what the
	// processors run. It is called while the guest is stopped, or at a glance if
	// Unstopped, and wants window bytes copied of each stack.
	Walk func(ctx context.Context, window int) ([]*Capture, error)
	// Kind is what the profile is called.
	Kind Kind

	seen map[string]Thread
}

// Options say how to sample.
type Options struct {
	// Rate is the number of samples per second, 99 if 0. Rates beyond MaxRate
	// are an error.
	Rate float64
	// Duration is how long, 10 s if 0.
	Duration time.Duration
	// MaxPause is the part of the time the guest may be kept stopped,
	// DefaultMaxPause if 0. After each sample the guest runs long enough to keep to it, so the
	// rate falls where a stop is too dear.
	MaxPause float64
	// Spent is for how long the guest was kept stopped already; it is taken from
	// the budget first.
	Spent time.Duration
	// MaxStack bounds the bytes of stack copied of each processor. If 0 it is 16 KiB,
	// and 64 KiB where nothing is stopped for it (a path name on the stack is 4 KiB,
	// and Unikraft's name lookup has three of them). A run starts with a small copy
	// and takes more only where stacks are found to go on beyond it.
	MaxStack int
	// Mappings and Warnings are handed on to the profile; a warning says for
	// example that the stub stops at translated blocks only (BiasWarning).
	Mappings []Mapping
	Warnings []string
}

// MaxRate is the highest rate that can be asked for, in samples per second.
const MaxRate = 10_000

// DefaultMaxPause is the part of the time a guest may be kept stopped where nothing else
// is asked for.
const DefaultMaxPause = 0.05

// BiasWarning is the warning for guests QEMU emulates (TCG).
const BiasWarning = "QEMU's emulator (TCG) stops a guest only between translated blocks, mostly after indirect jumps: " +
	"samples are biased towards callers and short functions. Run QEMU with -singlestep, or under KVM, for true shares"

const (
	defaultRate     = 99
	defaultDuration = 10 * time.Second
	defaultMaxStack = 16 << 10
	unstoppedStack  = 64 << 10
	maxStackLimit   = 1 << 20
	// firstWindow is how much is copied of a stack at first: it fits one packet of
	// QEMU's stub with what the stub's client reads around it. Where nothing is stopped
	// for it, twice as much.
	firstWindow = 1 << 10
	// queue is how many batches of captures may wait for unwinding, batchSize how many
	// make a batch, and batchTime how long one waits to become full.
	// The first firstTicks are handed on at once.
	queue      = 8
	batchSize  = 32
	firstTicks = 32
	batchTime  = 100 * time.Millisecond
	// restore bounds what is done to leave the guest as found after the
	// context has ended.
	restore = 5 * time.Second
)

func (o *Options) defaults() error {
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	if !(o.Rate > 0 && o.Rate <= MaxRate) {
		return fmt.Errorf("sampling rate %v: want more than 0 and at most %d samples per second", o.Rate, MaxRate)
	}
	if o.Duration == 0 {
		o.Duration = defaultDuration
	}
	if o.Duration < 0 {
		return fmt.Errorf("sampling for %v: want a time above 0", o.Duration)
	}
	if o.MaxPause == 0 {
		o.MaxPause = DefaultMaxPause
	}
	if !(o.MaxPause > 0 && o.MaxPause <= 1) {
		return fmt.Errorf("pause budget %v: want a part of the time, above 0 and at most 1", o.MaxPause)
	}
	if o.MaxStack == 0 {
		o.MaxStack = defaultMaxStack
	}
	if o.MaxStack < 0 || o.MaxStack > maxStackLimit {
		return fmt.Errorf("stack copy of %d bytes: want at most 1 MiB", o.MaxStack)
	}
	return nil
}

// Run samples the guest and returns the profile. When ctx ends, the guest stops
// by itself or ends, the run ends early with what it has, and Profile.Ended
// says why; only a failure to sample is an error, and then too the profile has
// what was sampled before.
//
// A guest found running runs afterwards; one found stopped is let run for the
// time and stopped again.
func (s *Sampler) Run(ctx context.Context, opt Options) (*Profile, error) {
	if opt.MaxStack == 0 && s.Unstopped {
		opt.MaxStack = unstoppedStack
	}
	if err := opt.defaults(); err != nil {
		return nil, err
	}
	cpus, err := s.Machine.CPUs(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the guest's processors: %w", err)
	}
	s.seen = map[string]Thread{}
	r := newRun(s, opt, cpus)
	wasRunning := s.Guest.Running()
	if !wasRunning {
		if err := s.Guest.Resume(ctx); err != nil {
			return nil, fmt.Errorf("letting the guest run to sample it: %w", err)
		}
	}
	g, ok := s.Guest.(interface{ Sampling(on bool) })
	if ok {
		g.Sampling(true)
	}
	err = r.loop(ctx)
	if ok {
		g.Sampling(false) // a stop from here on is to last
	}
	if !wasRunning && s.Guest.Running() {
		lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restore)
		_, _, serr := s.Guest.Stop(lctx)
		cancel()
		if serr != nil && !errors.Is(serr, ErrEnded) {
			err = errors.Join(err, fmt.Errorf("stopping the guest again, as it was found: %w", serr))
		}
	}
	return r.finish(), err
}

// run is one sampling run.
type run struct {
	s       *Sampler
	opt     Options
	cpus    []target.CPU
	period  time.Duration
	profile *Profile

	// batch waits to be handed on by work, since when it began.
	batch []*Capture
	begun time.Time

	work chan []*Capture
	done chan struct{}
	agg  *aggregate
	need chan int // the copy a stack would have wanted, in bytes
	full bool     // a stack goes on beyond MaxStack

	torn     int           // stacks that changed while they were read
	lapsed   int           // stacks that were not read to the end before the guest ran again
	lateness time.Duration // the sum of all moments'
	moments  int

	memo memo // stacks unwound before
}

func newRun(s *Sampler, opt Options, cpus []target.CPU) *run {
	period := time.Duration(float64(time.Second) / opt.Rate)
	r := &run{
		s: s, opt: opt, cpus: cpus, period: period,
		profile: &Profile{
			Kind:     s.Kind,
			Mappings: opt.Mappings, Warnings: append([]string(nil), opt.Warnings...),
			Start: time.Now(), Asked: period,
		},
		work: make(chan []*Capture, queue), done: make(chan struct{}),
		agg: newAggregate(), need: make(chan int, 1), memo: newMemo(),
	}
	go r.unwind()
	return r
}

// loop takes a sample at a random moment of each period until the time is over.
func (r *run) loop(ctx context.Context) error {
	defer func() { r.handOn(); close(r.work); <-r.done }()
	begin := r.profile.Start
	window := firstWindow
	if r.s.Unstopped {
		window *= 2
	}
	window = min(window, r.opt.MaxStack)
	budget := budget{share: r.opt.MaxPause, last: begin}
	earliest := budget.spend(r.opt.Spent, begin) // by the pause budget
	slots := schedule{begin: begin, period: r.period, total: int64(r.opt.Duration / r.period)}
	if r.s.Unstopped {
		slots.backlog = int64(catchUp / r.period)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		now := time.Now()
		if earliest.After(now) {
			now = earliest
		}
		at, missed := slots.next(now)
		r.profile.Missed += missed
		at = moment(at.Add(rand.N(r.period)), earliest, r.period, r.s.Unstopped)
		end := begin.Add(r.opt.Duration)
		last := !at.Before(end)
		if last {
			r.profile.Missed += slots.rest()
			at = end
		}
		if !r.wait(ctx, timer, at) {
			r.profile.Ended = "interrupted"
			return nil
		}
		if last {
			return nil
		}
		r.late(time.Since(at))
		select {
		case n := <-r.need:
			window = min(max(window, n), r.opt.MaxStack)
		default:
		}
		pause, err := r.sample(ctx, window)
		if err != nil || r.profile.Ended != "" {
			return err
		}
		earliest = budget.spend(pause, time.Now())
	}
}

// shortWait is what is waited for exactly, and not with the runtime's timers.
const shortWait = 2 * time.Millisecond

// wait returns at the moment, and reports false if ctx ended before.
func (r *run) wait(ctx context.Context, timer *time.Timer, at time.Time) bool {
	if left := time.Until(at); left > shortWait {
		timer.Reset(left - shortWait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	for left := time.Until(at); left > 0; left = time.Until(at) {
		sleepShort(left)
	}
	return ctx.Err() == nil
}

// late counts by how much a sample comes after its moment.
func (r *run) late(by time.Duration) {
	r.lateness += by
	r.moments++
	r.profile.Latest = max(r.profile.Latest, by)
}

// sample stops the guest, captures and lets it run again. It returns for how
// long the guest was stopped.
func (r *run) sample(ctx context.Context, window int) (time.Duration, error) {
	// A stop that was asked for must be waited for, else it would come after we
	// are gone and leave the guest stopped.
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restore)
	stop, at, err := r.s.Guest.Stop(sctx)
	cancel()
	if err != nil {
		return 0, r.sampleFailed(ctx, err)
	}
	if stop.Reason != target.StopInterrupt && stop.Reason != target.StopUnknown {
		// Somebody else's stop: a breakpoint, a trap, an operator. It is theirs.
		r.profile.Ended = "the guest stopped by itself (" + reasonText(stop) + ") and is left so"
		return 0, nil
	}
	take := r.s.Walk
	if take == nil {
		take = func(ctx context.Context, window int) ([]*Capture, error) { return r.s.capture(ctx, r.cpus, window) }
	}
	caps, cerr := take(ctx, window)
	// The guest runs again whatever became of the context; the link's own patience
	// bounds it. (A context with a timeout takes a timer, and that a thread to wake.)
	rerr := r.s.Guest.Resume(context.WithoutCancel(ctx))
	pause := time.Duration(0)
	if !r.s.Unstopped {
		pause = time.Since(at)
		if g, ok := r.s.Guest.(interface{ Paused() time.Duration }); ok && g.Paused() > 0 {
			pause = g.Paused()
		}
		p := &r.profile.Pause
		p.Total += pause
		p.Longest = max(p.Longest, pause)
		p.Stops++
	}
	if g, ok := r.s.Guest.(interface{ Rest(context.Context) }); ok {
		g.Rest(ctx)
	}
	if rerr != nil && !errors.Is(rerr, target.ErrLapsed) {
		return pause, fmt.Errorf("letting the guest run again after a sample: %w", errors.Join(rerr, cerr))
	}
	if errors.Is(cerr, target.ErrLapsed) || errors.Is(rerr, target.ErrLapsed) {
		r.profile.Abandoned++ // it took longer than a stop may
		return pause, nil
	}
	if cerr != nil {
		return pause, r.sampleFailed(ctx, cerr)
	}
	r.profile.Ticks++
	if len(r.batch) == 0 {
		r.begun = time.Now()
	}
	// The first tell how much of a stack to copy.
	if r.batch = append(r.batch, caps...); len(r.batch) >= batchSize || r.profile.Ticks <= firstTicks || time.Since(r.begun) > batchTime {
		r.handOn()
	}
	return pause, nil
}

// handOn gives the batch to be unwound. Waking another thread for each sample would
// cost more than the sample.
func (r *run) handOn() {
	if len(r.batch) > 0 {
		r.work <- r.batch
		r.batch = nil
	}
}

// sampleFailed tells an end of the run from a failure.
func (r *run) sampleFailed(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, target.ErrLost):
		r.profile.Ended = "the link to the guest was lost"
		return err
	case errors.Is(err, ErrEnded):
		r.profile.Ended = err.Error()
		return nil
	case ctx.Err() != nil:
		r.profile.Ended = "interrupted"
		return nil
	}
	r.profile.Ended = "sampling failed"
	return err
}

// unwind turns captures into stacks while the guest runs.
func (r *run) unwind() {
	defer close(r.done)
	for batch := range r.work {
		for _, c := range batch {
			r.unwindOne(c)
		}
	}
}

func (r *run) unwindOne(c *Capture) {
	key := r.memo.key(c)
	if calls, ok := r.memo.stacks[key]; ok {
		r.agg.add(c, calls, false)
		return
	}
	var calls []Call
	torn := false
	if r.s.Unwind != nil {
		// An error is how most stacks end; what was found counts.
		var err error
		calls, err = r.s.Unwind(context.Background(), c, c.Regs)
		torn = errors.Is(err, ErrTorn)
	}
	if len(calls) == 0 && c.Regs.Arch != nil {
		calls = []Call{{Addr: c.Regs.PC()}}
	}
	if c.Returning && len(calls) > 0 {
		calls[0].Addr-- // into the call
	}
	cut := r.grow(c)
	if c.lapsed {
		r.lapsed++
		cut = true
	}
	if torn {
		r.torn++
		cut = true
	}
	if !cut {
		r.memo.keep(key, calls)
	}
	r.agg.add(c, calls, cut)
}

// grow asks for larger copies if this one was cut by its window rather than by
// a hole, and reports whether it was cut.
func (r *run) grow(c *Capture) bool {
	size := uint64(0)
	for i := range c.stack {
		size += uint64(c.stack[i].N)
		if c.stack[i].N != len(c.stack[i].Data) {
			return false
		}
	}
	most := uint64(r.opt.MaxStack)
	switch {
	case c.missing <= size:
		return false // nothing was missed, or it was not on this stack
	case c.missing <= most:
		select {
		case r.need <- int(min(max(2*size, c.missing), most)):
		default:
		}
		return true
	case size >= most && c.missing <= 2*most:
		r.full = true
		return true
	}
	return false // a stray pointer, not the next frame
}

// finish completes the profile after loop.
func (r *run) finish() *Profile {
	p := r.profile
	p.Duration = time.Since(p.Start)
	if r.moments > 0 {
		p.Late = r.lateness / time.Duration(r.moments)
	}
	p.Period = r.period
	if p.Ticks > 0 {
		p.Period = p.Duration / time.Duration(p.Ticks)
	}
	p.Samples = r.agg.samples(r.s.Symbolize, p.Period)
	if p.Missed > 0 && p.Missed*10 > p.Ticks {
		why := fmt.Sprintf("to keep the guest stopped for at most %.3g %% of the time (or the host was late)", 100*r.opt.MaxPause)
		if r.s.Unstopped {
			why = "as fast as its monitor answers"
		}
		p.Warnings = append(p.Warnings, fmt.Sprintf("%.0f samples/s instead of the %.0f asked for, %s",
			float64(p.Ticks)/p.Duration.Seconds(), r.opt.Rate, why))
	}
	if p.Abandoned > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d samples were given up because the guest would have stood for longer than it may", p.Abandoned))
	}
	if r.torn > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d stacks changed while they were read, and are cut where they stop making sense", r.torn))
	}
	if r.lapsed > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d stacks were not read to the end before the guest ran again, and are cut there", r.lapsed))
	}
	if r.full {
		p.Warnings = append(p.Warnings, fmt.Sprintf("some stacks go on beyond the %d bytes copied of each", r.opt.MaxStack))
	}
	if r.agg.folded > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"%d samples beyond %d distinct stacks are kept by their innermost frame only, %d of them not at all", r.agg.folded, maxStacks, r.agg.lost))
	}
	return p
}

func reasonText(s target.Stop) string {
	switch s.Reason {
	case target.StopBreakpoint:
		return "breakpoint"
	case target.StopStep:
		return "step"
	case target.StopWatch:
		return "watchpoint"
	case target.StopSignal:
		return fmt.Sprintf("signal %d", s.Signal)
	}
	return "stopped by somebody else"
}
