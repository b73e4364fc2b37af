package perfevent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Source samples threads. It is used by one goroutine.
type Source struct {
	opt    Options
	event  string
	events []event
}

// event is an event on one thread, with its ring.
type event struct {
	fd   int
	mem  []byte
	ring *ring
}

const (
	// ringPages is the size of a ring's data: 64 KiB hold 2,730 samples.
	ringPages = 16
	// drainEvery is how often the rings are read, unless they are half full before.
	drainEvery = 100 * time.Millisecond
	// jitterEvery is how often the clock's period is drawn anew, by a tenth up or
	// down, so that a guest with a period of its own is not sampled in step with it.
	// Each time half a period is lost.
	jitterEvery = time.Second
	jitter      = 0.1
)

// errMapping says that the memory shared with the kernel was refused, not the event.
var errMapping = errors.New("mapping the ring")

// Open opens an event on each thread. Nothing is sampled before Run. A refusal is a
// *DeniedError.
func Open(opt Options) (*Source, error) {
	switch {
	case len(opt.Threads) == 0:
		return nil, errors.New("no thread to sample")
	case len(opt.Threads) > maxThreads:
		return nil, fmt.Errorf("%d threads to sample, at most %d can be", len(opt.Threads), maxThreads)
	case !(opt.Rate > 0 && opt.Rate <= 1e5):
		return nil, fmt.Errorf("sampling rate %v: want more than 0 and at most 100,000 samples per second", opt.Rate)
	}
	s := &Source{opt: opt}
	var err error
	for _, s.event = range []string{Cycles, Clock} {
		if err = s.open(); !noCounter(err) {
			break
		}
	}
	if err != nil {
		return nil, denied(err)
	}
	return s, nil
}

// Event is what is counted to sample: Cycles or Clock.
func (s *Source) Event() string { return s.event }

// noCounter reports whether the host lacks the counter, not the right to it.
func noCounter(err error) bool {
	for _, e := range []error{unix.ENOENT, unix.ENODEV, unix.EOPNOTSUPP, unix.EINVAL, unix.ENXIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// attr is what is asked of the kernel.
func (s *Source) attr() *unix.PerfEventAttr {
	a := &unix.PerfEventAttr{
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_IP | unix.PERF_SAMPLE_PERIOD,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
		Bits:        unix.PerfBitDisabled | unix.PerfBitExcludeHv | unix.PerfBitWatermark,
		Wakeup:      uint32(ringPages*os.Getpagesize()) / 2,
	}
	if !s.opt.Host {
		a.Bits |= unix.PerfBitExcludeHost
	}
	if s.event == Cycles {
		a.Type, a.Config = unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES
		a.Bits |= unix.PerfBitFreq
		a.Sample = uint64(max(s.opt.Rate, 1))
	} else {
		a.Type, a.Config = unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_CLOCK
		a.Sample = s.period()
	}
	return a
}

// period is the clock's, in nanoseconds, with its jitter.
func (s *Source) period() uint64 {
	return uint64(float64(time.Second) / s.opt.Rate * (1 + jitter*(2*rand.Float64()-1)))
}

// open opens the events; on failure there are none.
func (s *Source) open() (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	attr := s.attr()
	for _, t := range s.opt.Threads {
		fd, err := unix.PerfEventOpen(attr, t.TID, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			return fmt.Errorf("an event on thread %d: %w", t.TID, err)
		}
		e := event{fd: fd}
		s.events = append(s.events, e)
		e.mem, err = unix.Mmap(fd, 0, (1+ringPages)*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("%w of thread %d: %w", errMapping, t.TID, err)
		}
		if e.ring, err = newRing(e.mem); err != nil {
			return errors.Join(err, unix.Munmap(e.mem))
		}
		s.events[len(s.events)-1] = e
	}
	return nil
}

// Close ends the events.
func (s *Source) Close() error {
	var all error
	for _, e := range s.events {
		if e.mem != nil {
			all = errors.Join(all, unix.Munmap(e.mem))
		}
		all = errors.Join(all, unix.Close(e.fd))
	}
	s.events = nil
	return all
}

// Run samples for a time, or until ctx ends or the process does. The error is
// ErrNoGuest if no sample was the guest's although its processors ran, unless
// Options.Host; the result then tells of the others.
func (s *Source) Run(ctx context.Context, d time.Duration) (*Result, error) {
	c := &counter{res: Result{Counts: map[Key]Count{}, Event: s.event, Threads: len(s.events)}, host: s.opt.Host}
	if s.event == Cycles {
		c.period = float64(time.Second) / s.opt.Rate
	}
	began, before := time.Now(), s.ran()
	if err := s.control(unix.PERF_EVENT_IOC_ENABLE); err != nil {
		return nil, err
	}
	err := s.drain(ctx, c, began.Add(d))
	c.res.Wall = time.Since(began)
	err = errors.Join(err, s.control(unix.PERF_EVENT_IOC_DISABLE))
	s.read(c)
	c.res.Ran = s.ran() - before
	c.number(s.opt.Threads)
	if err == nil && c.res.Guest == 0 && !s.opt.Host {
		err = c.res.none(s.opt.Rate)
	}
	return &c.res, err
}

// drain reads the rings until the time is over.
func (s *Source) drain(ctx context.Context, c *counter, end time.Time) error {
	poll := make([]unix.PollFd, len(s.events))
	for i, e := range s.events {
		poll[i] = unix.PollFd{Fd: int32(e.fd), Events: unix.POLLIN}
	}
	drawn := time.Now()
	for ctx.Err() == nil {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if _, err := unix.Poll(poll, int(min(left, drainEvery).Milliseconds())+1); err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for samples: %w", err)
		}
		s.read(c)
		ended := true
		for i := range poll {
			if poll[i].Revents&(unix.POLLHUP|unix.POLLERR) == 0 {
				ended = false
			} else {
				poll[i].Fd = -1 // its thread has ended
			}
			ended = ended && poll[i].Fd < 0
		}
		if ended {
			c.res.Ended = true
			return nil
		}
		if s.event == Clock && time.Since(drawn) > jitterEvery {
			drawn = time.Now()
			for _, e := range s.events {
				p := s.period()
				if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.PERF_EVENT_IOC_PERIOD, uintptr(unsafe.Pointer(&p))); errno != 0 {
					return fmt.Errorf("setting the period of the samples: %w", errno)
				}
			}
		}
	}
	return nil
}

func (s *Source) read(c *counter) {
	for i, e := range s.events {
		c.res.add(e.ring.read(func(smp Sample) { c.add(i, smp) }))
	}
}

func (s *Source) control(request uint) error {
	for i, e := range s.events {
		if err := unix.IoctlSetInt(e.fd, request, 0); err != nil {
			return fmt.Errorf("switching the event on thread %d: %w", s.opt.Threads[i].TID, err)
		}
	}
	return nil
}

// ran is for how long all threads were on a processor while their events were on.
func (s *Source) ran() time.Duration {
	var sum time.Duration
	var b [24]byte // value, time enabled, time running
	for _, e := range s.events {
		if n, err := unix.Read(e.fd, b[:]); err == nil && n == len(b) {
			sum += time.Duration(min(binary.NativeEndian.Uint64(b[16:]), uint64(1<<62)))
		}
	}
	return sum
}
