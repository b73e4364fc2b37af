package ukdbg

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// ProfileOptions say how to sample.
type ProfileOptions struct {
	// Duration is how long, 5 s if 0.
	Duration time.Duration
	// Hz is the rate in samples a second, 99 if 0.
	Hz float64
	// MaxPause is the part of the time the guest may be kept stopped, 0.05 if
	// 0: the rate falls where stops are dear.
	MaxPause float64
	// Progress, if set, is called now and then.
	Progress func(done, total time.Duration)
}

// Profile samples the running guest. The guest is left stopped, as it is
// throughout a session. A dump gives one sample of each thread's stack.
func (s *Session) Profile(ctx context.Context, opt ProfileOptions) (*profiler.Profile, error) {
	if s.live == nil && !s.Observing() {
		return s.stacksProfile(ctx)
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
	sampler := profiler.Sampler{Unwind: s.unwindCapture, Symbolize: s.sampleFrames}
	if s.Observing() {
		if len(s.cpus) == 0 {
			_, err := s.observer.ReadRegisters(ctx, 0)
			return nil, fmt.Errorf("sampling: %w", err)
		}
		sampler.Guest, sampler.Machine, sampler.Unstopped = glance{s.observer}, s.observer, true
	} else {
		sampler.Guest, sampler.Machine = profiler.Control(s.live), s.live
	}
	if k, ok := s.kernel.(currentThreads); ok {
		if slots, err := k.CurrentSlots(ctx); err == nil {
			sampler.Threads = threadProbe{s, k, slots}
		}
	}
	if s.image != nil {
		sampler.Code = imageMemory{s}
	}
	popt := profiler.Options{
		Rate: opt.Hz, Duration: opt.Duration, MaxPause: opt.MaxPause,
		Mappings: s.sampleMappings(), Warnings: s.sampleWarnings(ctx),
	}
	if opt.Progress != nil {
		tick, stop := time.NewTicker(200*time.Millisecond), make(chan struct{})
		began := time.Now()
		go func() {
			for {
				select {
				case <-tick.C:
					opt.Progress(min(time.Since(began), opt.Duration), opt.Duration)
				case <-stop:
					return
				}
			}
		}()
		defer func() { tick.Stop(); close(stop) }()
	}
	p, err := sampler.Run(ctx, popt)
	s.newEpoch()
	return p, err
}

// unwindCapture walks the copied stack of a sample.
func (s *Session) unwindCapture(ctx context.Context, mem target.Memory, regs target.Regs) ([]profiler.Call, error) {
	if s.unwinder == nil {
		return []profiler.Call{{Addr: regs.PC()}}, nil
	}
	frames, err := s.unwinder.Append(ctx, nil, mem, regs)
	return calls(frames), err
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
	m := profiler.Mapping{
		File: s.opt.Image, BuildID: s.image.BuildID(), ContentHash: s.image.ContentHash(), Slide: s.mapping.Slide,
	}
	for i, seg := range s.image.Segments() {
		start, last := s.mapping.Run(seg.Addr), s.mapping.Run(seg.Addr+max(seg.MemSize, 1)-1)
		if i == 0 || start < m.Start {
			m.Start = start
		}
		if last > m.Last {
			m.Last = last
		}
	}
	return []profiler.Mapping{m}
}

// sampleWarnings asks the VMM whether it emulates the processor.
func (s *Session) sampleWarnings(ctx context.Context) []string {
	var warnings []string
	if s.Observing() {
		warnings = append(warnings, "sampled without a stop: a stack is read some microseconds after its registers, and what ran on meanwhile may be torn")
	}
	m, ok := s.machine.machine.(target.Monitor)
	if !ok {
		return warnings
	}
	text, err := m.Monitor(ctx, "info kvm")
	if err != nil || strings.Contains(text, "enabled") || !strings.Contains(text, "kvm") {
		return warnings
	}
	return append(warnings, profiler.BiasWarning)
}

// glance is the run control of a guest that is not controlled: a stop is a look.
type glance struct{ observer }

func (glance) Running() bool                { return true }
func (glance) Resume(context.Context) error { return nil }

func (g glance) Stop(context.Context) (target.Stop, time.Time, error) {
	g.Forget()
	return target.Stop{Reason: target.StopInterrupt}, time.Now(), nil
}

// stacksProfile makes a profile of the stacks of all threads, one sample each.
func (s *Session) stacksProfile(ctx context.Context) (*profiler.Profile, error) {
	threads, err := s.Threads(ctx)
	if err != nil {
		return nil, err
	}
	p := &profiler.Profile{Mappings: s.sampleMappings(), Start: time.Now(), Ticks: 1,
		Warnings: []string{"made of a dump: one sample of each thread's stack, running or not"}}
	for _, t := range threads {
		frames, err := s.unwind(ctx, t)
		if err != nil && len(frames) == 0 {
			continue
		}
		sample := profiler.Sample{Count: 1, CPU: t.CPU, Thread: profiler.Thread{ID: int64(t.ID), Name: t.Name, Known: true}}
		for _, c := range calls(frames) {
			for _, f := range s.sampleFrames(c.Addr) {
				f.Guessed = c.Guessed
				sample.Stack = append(sample.Stack, f)
			}
		}
		p.Samples = append(p.Samples, sample)
	}
	return p, nil
}

// imageMemory reads the image's read-only bytes without the guest.
type imageMemory struct{ s *Session }

func (m imageMemory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	link := m.s.mapping.Link(addr)
	sec, ok := m.s.image.SectionAt(link)
	if ok && sec.ReadOnly() {
		if b, ok := m.s.image.Data(link, len(p)); ok {
			return copy(p, b), nil
		}
	}
	return 0, &target.FaultError{Addr: addr, Why: "not in the image's read-only data"}
}

// currentThreads is the optional power of a kernel to tell from one word of
// memory which thread a processor runs.
type currentThreads interface {
	// CurrentSlots is the address of each processor's word.
	CurrentSlots(ctx context.Context) (map[target.CPU]uint64, error)
	// ThreadAt names the thread such a word points to.
	ThreadAt(ctx context.Context, addr uint64) (id int, name string, err error)
}

// threadProbe tells which scheduler thread a sample belongs to, by one word read
// in the same round trip as the stack.
type threadProbe struct {
	s    *Session
	k    currentThreads
	slot map[target.CPU]uint64
}

func (t threadProbe) Probe(cpu target.CPU, _ *target.Regs) []target.Range {
	addr, ok := t.slot[cpu]
	if !ok {
		return nil
	}
	return []target.Range{{Addr: addr, Data: make([]byte, 8)}}
}

func (t threadProbe) Thread(ctx context.Context, _ target.Memory, _ target.CPU, probe []target.Range) (profiler.Thread, error) {
	if len(probe) == 0 || probe[0].N < 8 {
		return profiler.Thread{}, nil
	}
	t.s.newEpoch() // the guest ran since anything was read
	id, name, err := t.k.ThreadAt(ctx, binary.LittleEndian.Uint64(probe[0].Data))
	if err != nil {
		return profiler.Thread{}, err
	}
	return profiler.Thread{ID: int64(id), Name: name, Known: true}, nil
}

// WritePprof writes what go tool pprof opens.
func WritePprof(w io.Writer, p *profiler.Profile) error { return pprof.Write(w, p) }

// topRow is one function of a profile: samples in it, and in it or below.
type topRow struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Flat     int64  `json:"flat"`
	Cum      int64  `json:"cum"`
}

// top lists the n functions with most samples.
func top(p *profiler.Profile, n int) (rows []topRow, total int64) {
	at := map[string]*topRow{}
	row := func(f profiler.Frame) *topRow {
		name := f.Function
		if name == "" {
			name = fmt.Sprintf("%#x", f.Address)
		}
		if at[name] == nil {
			at[name] = &topRow{Function: name, File: f.File}
		}
		return at[name]
	}
	for _, s := range p.Samples {
		total += s.Count
		var seen []*topRow
		for i, f := range s.Stack {
			r := row(f)
			if i == 0 {
				r.Flat += s.Count
			}
			if !slices.Contains(seen, r) {
				r.Cum += s.Count
				seen = append(seen, r)
			}
		}
	}
	for _, r := range at {
		rows = append(rows, *r)
	}
	sort.Slice(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		if a.Flat != b.Flat {
			return a.Flat > b.Flat
		}
		if a.Cum != b.Cum {
			return a.Cum > b.Cum
		}
		return a.Function < b.Function
	})
	return rows[:min(n, len(rows))], total
}

// WriteProfile shows the n functions with most samples.
func WriteProfile(w io.Writer, p *profiler.Profile, n int) {
	out := bufio.NewWriter(w)
	rows, total := top(p, n)
	share := 0.0
	if p.Duration > 0 {
		share = 100 * p.Pause.Total.Seconds() / p.Duration.Seconds()
	}
	fmt.Fprintf(out, "%d samples in %.2f s · guest stopped %s in %d stops (%.1f %%), longest %s\n",
		total, p.Duration.Seconds(), roundDuration(p.Pause.Total), p.Pause.Stops, share, roundDuration(p.Pause.Longest))
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "  FLAT\tCUM\tFUNCTION\n")
	for _, r := range rows {
		fmt.Fprintf(tw, "%5.1f %%\t%5.1f %%\t%s\n", percent(r.Flat, total), percent(r.Cum, total), escape(r.Function))
	}
	// What follows goes through the same buffered writer, whose error is sticky.
	if tw.Flush() == nil {
		for _, warning := range p.Warnings {
			fmt.Fprintf(out, "warning: %s\n", warning)
		}
	}
	if out.Flush() != nil {
		return // the writer's owner sees it
	}
}

func percent(n, total int64) float64 {
	if total == 0 {
		return 0
	}
	return 100 * float64(n) / float64(total)
}

// WriteProfileJSON writes the n functions with most samples and what the
// sampling cost: docs/json.md.
func WriteProfileJSON(w io.Writer, p *profiler.Profile, n int) error {
	rows, total := top(p, n)
	if rows == nil {
		rows = []topRow{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Ticks    int64    `json:"ticks"`
		Samples  int64    `json:"samples"`
		Duration int64    `json:"duration_ns"`
		Period   int64    `json:"period_ns"`
		Stopped  int64    `json:"stopped_ns"`
		Longest  int64    `json:"longest_ns"`
		Stops    int      `json:"stops"`
		Warnings []string `json:"warnings"`
		Top      []topRow `json:"top"`
	}{int64(p.Ticks), total, p.Duration.Nanoseconds(), p.Period.Nanoseconds(), p.Pause.Total.Nanoseconds(),
		p.Pause.Longest.Nanoseconds(), p.Pause.Stops, append([]string{}, p.Warnings...), rows})
}
