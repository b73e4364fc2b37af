package ukdbg

import (
	"context"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// Thread is a thread of the guest's scheduler, or, where no kernel is known, a
// processor.
type Thread struct {
	kernel.Thread
	epoch uint64
}

// Runnable reports whether it runs or would.
func (t Thread) Runnable() bool { return t.State == kernel.Running || t.State == kernel.Ready }

// Doing says in words what the thread does.
func (t Thread) Doing() string {
	switch {
	case t.New:
		return "new, never ran"
	case t.Wait != "":
		text := "waits for " + t.Wait
		if t.ToGo != nil && *t.ToGo > 0 {
			text += fmt.Sprintf(", at most %s more", roundDuration(time.Duration(*t.ToGo)))
		}
		return text
	case t.State == kernel.Sleeping && t.ToGo != nil:
		return fmt.Sprintf("sleeps, %s to go", roundDuration(time.Duration(*t.ToGo)))
	case t.State == kernel.Running && t.CPU > 0:
		return fmt.Sprintf("running on CPU %d", t.CPU)
	}
	return t.State.String()
}

// Threads lists the guest's threads. Where no kernel is known each processor
// is one.
func (s *Session) Threads(ctx context.Context) ([]Thread, error) {
	if s.threads != nil {
		return s.threads, nil
	}
	// The stacks belong to the moment too: a thread of a guest that runs while it
	// is read has left its place a moment later.
	err := s.settle(ctx, func() error {
		if err := s.listThreads(ctx); err != nil {
			return err
		}
		if s.Observing() {
			s.unwindAll(ctx)
		}
		return nil
	})
	if err != nil {
		s.threads = nil
		return nil, err
	}
	for i := range s.threads {
		if t := &s.threads[i]; s.ran && t.Live {
			t.Notes = append(t.Notes, "it ran on while it was read: its registers are of a moment before its stack")
		}
	}
	return s.threads, nil
}

// listThreads asks the kernel, or where none is known the processors.
func (s *Session) listThreads(ctx context.Context) error {
	if s.kernel == nil {
		return s.threadsOfCPUs(ctx)
	}
	list, err := s.kernel.Threads(ctx)
	if err != nil {
		return err
	}
	for _, t := range list.Threads {
		if len(s.cpus) == 0 && s.Observing() && t.State == kernel.Running && t.RegsErr != nil {
			// Why there are none, the way to the guest knows.
			_, t.RegsErr = s.machine.ReadRegisters(ctx, 0)
		}
		s.threads = append(s.threads, Thread{t, s.epoch})
	}
	return nil
}

// mostUnwound bounds how many stacks are unwound where nobody asked for them.
const mostUnwound = 256

// unwindAll unwinds the threads' stacks; what a stack lacks is told when it is
// asked for.
func (s *Session) unwindAll(ctx context.Context) {
	for _, t := range s.threads[:min(len(s.threads), mostUnwound)] {
		_, _ = s.unwind(ctx, t) // kept with its error
	}
}

// Torn says what the list of threads of a running guest must be read with: what
// changed in each of several readings. It is "" where all is of one moment.
func (s *Session) Torn() string { return s.torn }

// threadsOfCPUs lists the processors as threads.
func (s *Session) threadsOfCPUs(ctx context.Context) error {
	for _, cpu := range s.cpus {
		regs, err := s.machine.ReadRegisters(ctx, cpu)
		t := kernel.Thread{
			ID: int(cpu) + 1, Name: fmt.Sprintf("CPU %d", cpu), State: kernel.Running,
			CPU: cpu, Regs: regs, Live: true, RegsErr: err,
			// An address of its own tells processors apart.
			Addr: ^uint64(0) - uint64(cpu),
		}
		if s.dump != nil && s.dump.Process() {
			t.Name = fmt.Sprintf("LWP %d", s.dump.Thread(cpu)) // as gdb calls them
		}
		s.threads = append(s.threads, Thread{t, s.epoch})
	}
	return nil
}

// CurrentThread is the thread on a processor.
func (s *Session) CurrentThread(ctx context.Context, cpu target.CPU) (Thread, error) {
	threads, err := s.Threads(ctx)
	if err != nil {
		return Thread{}, err
	}
	for _, t := range threads {
		if t.CPU == cpu {
			return t, nil
		}
	}
	for _, t := range threads {
		if t.RegsErr == nil {
			return t, nil
		}
	}
	if len(threads) > 0 {
		return threads[0], nil
	}
	return Thread{}, fmt.Errorf("no thread on CPU %d", cpu)
}

// Explain adds to a thread what its stack tells about why it waits.
func (s *Session) Explain(t Thread, frames []Frame) Thread {
	names := make([]string, 0, len(frames))
	for _, f := range frames {
		names = append(names, f.Loc.Short())
	}
	unikraft.RefineWait(&t.Thread, names)
	return t
}

// threadKey tells threads apart. One alone does not do: a processor without a
// thread has no address, and a number is given anew when the kernel becomes known.
type threadKey struct {
	id   int
	addr uint64
}

func (t Thread) key() threadKey { return threadKey{t.ID, t.Addr} }

// Same reports whether t and o are the same thread, perhaps at different times.
func (t Thread) Same(o Thread) bool { return t.key() == o.key() }

// stack is a thread's stack as it was unwound in this epoch.
type stack struct {
	frames []unwind.Frame
	err    error
}

// unwind returns the physical frames of a thread.
func (s *Session) unwind(ctx context.Context, t Thread) ([]unwind.Frame, error) {
	if t.epoch != s.epoch {
		return nil, ErrStale
	}
	if st, ok := s.stacks[t.key()]; ok {
		return st.frames, st.err
	}
	if t.RegsErr != nil {
		return nil, t.RegsErr
	}
	frames, err := s.unwindRegs(ctx, t.Regs)
	s.stacks[t.key()] = stack{frames, err}
	return frames, err
}

// unwindRegs unwinds from a register set. There is always at least one frame.
func (s *Session) unwindRegs(ctx context.Context, regs target.Regs) ([]unwind.Frame, error) {
	if !s.knowsImageAt(regs.PC()) {
		// Loaded since.
		if err := s.lookForImages(ctx); err != nil {
			return nil, err
		}
	}
	return s.unwinder.Append(ctx, nil, s.mem, regs)
}
