package ukdbg

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// ProfileOptions say how to sample.
type ProfileOptions struct {
	// Kind is what is sampled: profiler.CPU if empty, Wall or OffCPU.
	Kind profiler.Kind
	// Duration is how long, 5 s if 0.
	Duration time.Duration
	// Hz is the rate in samples a second, 99 if 0.
	Hz float64
	// MaxPause is the part of the time the guest may be kept stopped,
	// profiler.DefaultMaxPause if 0: the rate falls where stops are dear.
	MaxPause float64
	// Source is what takes the samples of a CPU profile.
	Source ProfileSource
	// Progress, if set, is called now and then.
	Progress func(done, total time.Duration)
}

// keptHz is the rate from which on a monitor is kept from one sample to the next.
const keptHz = 400

// Profile samples the running guest. The guest is left stopped, as it is
// throughout a session, or goes on where it is only observed. A dump gives one
// sample of each thread's stack.
func (s *Session) Profile(ctx context.Context, opt ProfileOptions) (*profiler.Profile, error) {
	if opt.Kind == "" {
		opt.Kind = profiler.CPU
	}
	if !opt.Kind.Sampled() {
		return nil, fmt.Errorf("a profile of kind %q is not made by sampling", opt.Kind)
	}
	if s.live == nil && !s.Observing() {
		return s.stacksProfile(ctx, opt.Kind)
	}
	if l, ok := s.live.(interface{ Interruptible() error }); ok {
		if err := l.Interruptible(); err != nil {
			return nil, fmt.Errorf("sampling stops the guest again and again, which is %w", err)
		}
	}
	if opt.Duration == 0 {
		opt.Duration = 5 * time.Second
	}
	if opt.Hz == 0 {
		opt.Hz = 99
	}
	if opt.MaxPause == 0 {
		opt.MaxPause = profiler.DefaultMaxPause // the session reckons with it, too
	}
	source, err := s.profileSource(ctx, opt)
	if err != nil {
		return nil, err
	}
	if source == PerfSource {
		return s.perfProfile(ctx, opt)
	}
	sampler := profiler.Sampler{Kind: opt.Kind, Unwind: s.unwindCapture, Symbolize: s.sampleFrames}
	var threads *walker
	if opt.Kind != profiler.CPU {
		if s.kernel == nil {
			return nil, fmt.Errorf("a profile of kind %s walks the guest's threads: %s", opt.Kind, s.noKernel)
		}
		threads = &walker{s: s, off: opt.Kind == profiler.OffCPU, waits: map[string]kernel.Thread{}}
		sampler.Walk = threads.walk
	}
	b, _ := s.observer.(*brief)
	switch {
	case b != nil:
		// See control.
	case s.Observing():
		sampler.Guest, sampler.Machine, sampler.Unstopped = glance{s.observer}, s.observer, true
	default:
		sampler.Guest, sampler.Machine = profiler.Control(s.live), s.live
	}
	if k, ok := s.kernel.(currentThreads); ok && threads == nil {
		if slots, err := k.CurrentSlots(ctx); err == nil {
			probe := threadProbe{s: s, k: k, slot: slots, parked: map[parkedAt]profiler.Thread{}}
			if sampler.Unstopped {
				probe.stacks = &threadStacks{}
				_ = probe.stacks.list(ctx, s, probe.parked) // without, the kernel's word tells
			}
			sampler.Threads = probe
		}
	}
	if s.image != nil {
		sampler.Code = imageMemory{s}
	}
	how := s.accelerator(ctx)
	popt := profiler.Options{
		Rate: opt.Hz, Duration: opt.Duration, MaxPause: opt.MaxPause,
		Mappings: s.sampleMappings(), Warnings: s.sampleWarnings(opt.Kind, how),
	}
	if state := s.standsStill(ctx); state != "" {
		popt.Warnings = append(popt.Warnings, fmt.Sprintf("the VM is %s: where its processors stand is not where they spend time", state))
	}
	defer showProgress(opt)()
	looked := s.registerReads()
	giveBack := func(*profiler.Profile) {}
	if b != nil {
		if giveBack, err = s.control(ctx, b, &sampler, &popt); err != nil {
			return nil, err
		}
	}
	if k, ok := s.observer.(interface{ KeepMonitor(on bool) }); ok && opt.Hz >= keptHz {
		k.KeepMonitor(true)
		defer k.KeepMonitor(false)
	}
	p, err := sampler.Run(ctx, popt)
	giveBack(p)
	if p != nil {
		p.Source = string(source)
	}
	if p != nil && threads != nil {
		threads.refine(p)
	}
	if p != nil && how == "kvm" {
		p.Pause.Exits = (s.registerReads() - looked) * len(s.cpus)
	}
	s.newEpoch()
	return p, err
}

// registerReads is how often the monitor of an observed guest was asked for all
// processors' registers.
func (s *Session) registerReads() int {
	if !s.Observing() {
		return 0
	}
	return s.observer.Cost().registerReads
}

// showProgress calls opt.Progress until the function it returns is called.
func showProgress(opt ProfileOptions) (stop func()) {
	if opt.Progress == nil {
		return func() {}
	}
	tick, end := time.NewTicker(200*time.Millisecond), make(chan struct{})
	began := time.Now()
	go func() {
		for {
			select {
			case <-tick.C:
				opt.Progress(min(time.Since(began), opt.Duration), opt.Duration)
			case <-end:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(end) }
}

// unwindCapture walks the copied stack of a sample.
func (s *Session) unwindCapture(ctx context.Context, mem target.Memory, regs target.Regs) ([]profiler.Call, error) {
	if s.unwinder == nil {
		return []profiler.Call{{Addr: regs.PC()}}, nil
	}
	frames, err := s.unwinder.Append(ctx, nil, mem, regs)
	out := calls(frames)
	if _, stops := s.observer.(*brief); s.Observing() && !stops {
		// The guest ran on between its registers and its stack.
		for i := 1; i < len(out); i++ {
			if !s.mayBeCode(out[i].Addr) {
				return out[:i], profiler.ErrTorn
			}
		}
	}
	return out, err
}

// mayBeCode reports whether an address lies in the code of an image, or in an image
// of which no file is known.
func (s *Session) mayBeCode(addr uint64) bool {
	at := s.mappingAt(addr)
	if at.Contains(addr) {
		sec, ok := at.Image.SectionAt(at.Link(addr))
		return ok && sec.Code()
	}
	return s.knowsImageAt(addr)
}

func calls(frames []unwind.Frame) []profiler.Call {
	out := make([]profiler.Call, 0, len(frames))
	for _, f := range frames {
		out = append(out, profiler.Call{Addr: f.LookupPC, Guessed: f.How == unwind.Scan})
	}
	return out
}

// sampleFrames names an address for a profile.
func (s *Session) sampleFrames(addr uint64) []profiler.Frame {
	locs, err := s.Resolve(addr)
	if err != nil {
		return []profiler.Frame{{Address: addr}}
	}
	return locationFrames(addr, locs)
}

// locationFrames are the functions at an address as a profile has them.
func locationFrames(addr uint64, locs []symbolizer.Location) []profiler.Frame {
	out := make([]profiler.Frame, 0, len(locs))
	for _, l := range locs {
		out = append(out, profiler.Frame{
			Address: addr, Function: l.Function, Linkage: l.Linkage, File: l.File, Line: l.Line, Inline: l.Inline,
		})
	}
	return out
}

func (s *Session) sampleMappings() []profiler.Mapping {
	if s.image == nil {
		return nil
	}
	var out []profiler.Mapping
	for _, m := range s.mappings() {
		out = append(out, sampleMapping(m))
	}
	for _, g := range s.loads.all {
		if g.missing != nil {
			out = append(out, profiler.Mapping{File: g.name(), BuildID: g.BuildID, Slide: g.Slide, Start: g.Start, Last: g.Last})
		}
	}
	return out
}

func sampleMapping(in symbolizer.Mapping) profiler.Mapping {
	m := profiler.Mapping{
		File: in.Image.Path, BuildID: in.Image.BuildID(), ContentHash: in.Image.ContentHash(), Slide: in.Slide,
	}
	for i, seg := range in.Image.Segments() {
		start, last := in.Run(seg.Addr), in.Run(seg.Addr+max(seg.MemSize, 1)-1)
		if i == 0 || start < m.Start {
			m.Start = start
		}
		if last > m.Last {
			m.Last = last
		}
	}
	return m
}

// accelerator asks the VMM what runs the guest's processors: "kvm", "tcg", "tcg by
// single steps" (QEMU's -singlestep), or "" where it does not tell.
func (s *Session) accelerator(ctx context.Context) string {
	m, ok := s.machine.machine.(target.Monitor)
	if !ok {
		return ""
	}
	text, err := m.Monitor(ctx, "info kvm")
	switch {
	case err != nil || !strings.Contains(text, "kvm"):
		return ""
	case strings.Contains(text, "enabled"):
		return "kvm"
	}
	if text, err := m.Monitor(ctx, "info status"); err == nil && strings.Contains(text, "single step mode") {
		return "tcg by single steps"
	}
	return "tcg"
}

// sampleWarnings says what limits the truth of samples.
func (s *Session) sampleWarnings(kind profiler.Kind, accelerator string) []string {
	var warnings []string
	if _, stops := s.observer.(*brief); s.Observing() && !stops && kind == profiler.CPU {
		warnings = append(warnings, "sampled without a stop: a stack is read some microseconds after its registers, and what ran on meanwhile may be torn")
	}
	if accelerator == "tcg" && kind != profiler.OffCPU {
		warnings = append(warnings, profiler.BiasWarning)
	}
	return warnings
}

// glance is the run control of a guest that is not controlled: a stop is a look.
type glance struct{ observer }

func (glance) Running() bool                { return true }
func (glance) Resume(context.Context) error { return nil }

// Rest lets others have the monitor between two looks.
func (g glance) Rest(ctx context.Context) {
	if r, ok := g.observer.(interface{ Rest(context.Context) }); ok {
		r.Rest(ctx)
	}
}

func (g glance) Stop(context.Context) (target.Stop, time.Time, error) {
	g.Forget()
	return target.Stop{Reason: target.StopInterrupt}, time.Now(), nil
}

// stacksProfile makes a profile of the stacks of all threads, one sample each.
func (s *Session) stacksProfile(ctx context.Context, kind profiler.Kind) (*profiler.Profile, error) {
	threads, err := s.Threads(ctx)
	if err != nil {
		return nil, err
	}
	p := &profiler.Profile{Kind: kind, Mappings: s.sampleMappings(), Start: time.Now(), Ticks: 1,
		Warnings: []string{"made of a dump: one sample of each thread's stack, running or not"}}
	w := walker{s: s, off: kind == profiler.OffCPU, waits: map[string]kernel.Thread{}}
	for i := range threads {
		t := &threads[i]
		if !w.wanted(t) {
			continue
		}
		frames, err := s.unwind(ctx, *t)
		if err != nil && len(frames) == 0 {
			continue
		}
		c := w.capture(t, nil)
		sample := profiler.Sample{Count: 1, CPU: c.CPU, Thread: c.Thread, State: c.State}
		for i, call := range calls(frames) {
			if i == 0 && c.Returning {
				call.Addr--
			}
			for _, f := range s.sampleFrames(call.Addr) {
				f.Guessed = call.Guessed
				sample.Stack = append(sample.Stack, f)
			}
		}
		p.Samples = append(p.Samples, sample)
	}
	w.refine(p)
	return p, nil
}

// imageMemory reads the image's read-only bytes without the guest.
type imageMemory struct{ s *Session }

func (m imageMemory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	at := m.s.mappingAt(addr)
	link := at.Link(addr)
	sec, ok := at.Image.SectionAt(link)
	if ok && sec.ReadOnly() {
		if b, ok := at.Image.Data(link, len(p)); ok {
			return copy(p, b), nil
		}
	}
	return 0, &target.FaultError{Addr: addr, Why: "not in the image's read-only data"}
}
