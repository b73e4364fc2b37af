package ukdbg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/profiler/perfevent"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// flatWarning is what a profile of the host kernel's samples carries.
const flatWarning = "flat: the host's kernel samples the instruction pointer only, callers and threads are not known"

// perfThreads are the threads of the VMM that run the guest's processors. The error
// says why the host's kernel cannot sample them.
func (s *Session) perfThreads(ctx context.Context) ([]perfevent.Thread, error) {
	p, ok := s.vmmProcess(ctx)
	if !ok {
		return nil, &SourceError{Source: PerfSource, Err: errors.New("its VMM is not on this host, or not to be seen")}
	}
	refuse := func(err error, change string) error {
		return &SourceError{Source: PerfSource, Err: err, Change: change, Stub: stubOf(p)}
	}
	v, err := vmm.FindVCPUs(p.PID)
	if err != nil {
		return nil, refuse(err, "")
	}
	if v.Known && !v.KVM {
		return nil, refuse(errors.New("it is emulated, so the host's processor runs the emulator and never the guest's code"), "run it under KVM")
	}
	numbers := map[int]int{}
	if m, ok := s.machine.machine.(target.Monitor); ok && len(v.Threads) > 0 && v.Threads[0].CPU < 0 {
		if text, err := m.Monitor(ctx, "info cpus"); err == nil {
			numbers = cpuThreads(text)
		}
	}
	var out []perfevent.Thread
	for _, t := range v.Threads {
		cpu, ok := numbers[t.TID]
		switch {
		case ok:
			out = append(out, perfevent.Thread{TID: t.TID, CPU: cpu})
		case len(numbers) == 0:
			out = append(out, perfevent.Thread{TID: t.TID, CPU: t.CPU})
		}
	}
	return out, nil
}

// cpuThreads takes the threads from QEMU's "info cpus": "* CPU #0: thread_id=1234".
func cpuThreads(text string) map[int]int {
	out := map[int]int{}
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, "CPU #")
		cpu, rest, ok2 := strings.Cut(rest, ":")
		_, tid, ok3 := strings.Cut(rest, "thread_id=")
		n, err := strconv.ParseUint(cpu, 10, 16)
		id, err2 := strconv.ParseUint(strings.TrimSpace(tid), 10, 31)
		if ok && ok2 && ok3 && err == nil && err2 == nil {
			out[int(id)] = int(n)
		}
	}
	return out
}

// openPerf opens the events that sample the guest.
func (s *Session) openPerf(ctx context.Context, hz float64) (*perfevent.Source, error) {
	threads, err := s.perfThreads(ctx)
	if err != nil {
		return nil, err
	}
	src, err := perfevent.Open(perfevent.Options{Threads: threads, Rate: hz})
	if err == nil {
		return src, nil
	}
	e := &SourceError{Source: PerfSource, Err: err}
	if p, ok := s.vmmProcess(ctx); ok {
		e.Stub = stubOf(p)
	}
	return nil, e
}

// PerfEvent says by which event the host's kernel would sample the guest: the events
// are opened, and nothing is sampled. A *SourceError says why it would not.
func (s *Session) PerfEvent(ctx context.Context) (string, error) {
	src, err := s.openPerf(ctx, 99)
	if err != nil {
		return "", err
	}
	return src.Event(), src.Close()
}

// perfProfile has the host's kernel sample the guest's processors.
func (s *Session) perfProfile(ctx context.Context, opt ProfileOptions) (p *profiler.Profile, err error) {
	src, err := s.openPerf(ctx, opt.Hz)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	defer showProgress(opt)()
	start := time.Now()
	res, err := src.Run(ctx, opt.Duration)
	if err != nil {
		return nil, &SourceError{Source: PerfSource, Err: err}
	}
	return s.perfSamples(res, start, opt, ctx.Err() != nil), nil
}

// perfSamples makes a profile of what the host's kernel counted.
func (s *Session) perfSamples(res *perfevent.Result, start time.Time, opt ProfileOptions, interrupted bool) *profiler.Profile {
	period := time.Duration(float64(time.Second) / opt.Hz)
	p := &profiler.Profile{
		Kind: profiler.CPU, Source: "perf " + res.Event, Flat: true, Mappings: s.sampleMappings(), Start: start, Duration: res.Wall,
		Period: period, Asked: period, Ticks: int(res.Guest), Lost: int64(min(res.Lost, 1<<62)) + res.Crowded, Outside: res.Host,
		Idle: max(res.Wall*time.Duration(max(res.CPUs, 1))-res.Ran, 0),
		// A sample takes the processor out of the guest.
		Pause:    profiler.Pause{Exits: int(res.Guest)},
		Warnings: []string{flatWarning},
	}
	switch {
	case res.Ended:
		p.Ended = "the guest ended"
	case interrupted:
		p.Ended = "interrupted"
	}
	if all := res.Guest + res.Host; res.Host > all/10 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d of %d samples of the processors' threads were the VMM's or KVM's own and are left out: where KVM emulates much of the guest, "+
			"what is left is not its true shares", res.Host, all))
	}
	if p.Lost > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d samples were lost on the way from the kernel", p.Lost))
	}
	if res.Throttled > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the host's kernel held sampling back %d times (kernel.perf_event_max_sample_rate, perf_cpu_time_max_percent)", res.Throttled))
	}
	if res.Torn > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d times the kernel's buffer made no sense and was passed over", res.Torn))
	}
	for k, n := range res.Counts {
		sample := profiler.Sample{CPU: profiler.NoCPU, Count: n.N, Value: n.Time, Stack: s.sampleFrames(k.IP)}
		if len(sample.Stack) == 0 {
			sample.Stack = []profiler.Frame{{Address: k.IP}}
		}
		if k.CPU >= 0 {
			sample.CPU = target.CPU(k.CPU)
		}
		p.Samples = append(p.Samples, sample)
	}
	slices.SortFunc(p.Samples, func(a, b profiler.Sample) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Stack[0].Address, b.Stack[0].Address), cmp.Compare(a.CPU, b.CPU))
	})
	return p
}
