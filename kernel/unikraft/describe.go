package unikraft

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ukdbg/ukdbg/kernel"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// describe makes the list of what was found.
func (s *survey) describe() {
	var switching map[uint64]*cpu
	if !s.k.layout.queueNext.ok {
		s.note("struct uk_thread has no queue in this image: sleeping and waiting are told by the wake-up time")
	}
	s.settleCurrents()
	for _, c := range s.cpus {
		if t := s.switchingOut(c); t != nil {
			if switching == nil {
				switching = map[uint64]*cpu{}
			}
			switching[t.addr] = c
			c.leaving = t.addr
		}
	}
	for _, t := range s.order {
		s.list.Threads = append(s.list.Threads, s.thread1(t, switching[t.addr]))
	}
	for _, c := range s.cpus {
		if c.thread == 0 && (c.threadOK || len(s.currents) == 0) {
			s.list.Threads = append(s.list.Threads, s.withoutThread(c))
		}
	}
}

// thread1 describes one thread. Leaving is the processor that still runs it
// though the kernel already names the next one.
func (s *survey) thread1(t *found, leaving *cpu) kernel.Thread {
	l := &s.k.layout
	out := kernel.Thread{Addr: t.addr, CPU: kernel.NoCPU, Name: string(t.name)}
	if t.err != nil {
		out.RegsErr = fmt.Errorf("its struct uk_thread is not readable: %w", t.err)
		out.Notes = append(out.Notes, out.RegsErr.Error())
		return out
	}
	if t.nameErr != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("its name is not readable: %v", t.nameErr))
	}
	if v, ok := l.exec.get(t.data); ok {
		out.ExecTime = &v
	}
	out.Stack, out.AuxStack = l.stack.value(t.data), l.auxStack.value(t.data)
	out.Wakeup = l.wakeup.value(t.data)
	s.state(t, &out)
	if t.wait != nil && (out.State == kernel.Waiting || out.State == kernel.Sleeping) {
		out.Wait, out.WaitObject = t.wait.text(s), t.wait.object
	}
	s.context(t, &out, leaving)
	return out
}

// state tells what a thread does, by its flags; the queues it is in confirm it.
func (s *survey) state(t *found, out *kernel.Thread) {
	flags := s.k.layout.flags.value(t.data)
	switch {
	case len(t.current) > 0:
		out.State, out.CPU = kernel.Running, t.current[0].number
		for _, c := range t.current[1:] {
			out.Notes = append(out.Notes, fmt.Sprintf("CPU %d names it as its thread, too", c.number))
		}
	case t.running:
		out.State = kernel.Running
	case t.exited || flags&flagExited != 0:
		out.State = kernel.Exited
	case t.idle:
		out.State = kernel.Idle
	case flags&flagRunnable != 0:
		out.State = kernel.Ready
		if t.sleeping {
			out.Notes = append(out.Notes, "it is runnable and in the sleep queue")
		}
	case out.Wakeup != 0 || t.sleeping:
		out.State = kernel.Sleeping
		if t.ready {
			out.Notes = append(out.Notes, "it is blocked and in the run queue")
		}
	default:
		out.State = kernel.Waiting
	}
	if out.State != kernel.Sleeping {
		// A stale time says nothing of a thread that can run.
		if out.State != kernel.Waiting {
			out.Wakeup = 0
		}
		return
	}
	if s.nowOK && out.Wakeup != 0 {
		var togo uint64
		if out.Wakeup > s.now {
			togo = out.Wakeup - s.now
		}
		out.ToGo = &togo
	}
}

// context gives a thread its registers.
func (s *survey) context(t *found, out *kernel.Thread, leaving *cpu) {
	l := &s.k.layout
	live := leaving
	if live == nil && len(t.current) > 0 && t.current[0].leaving == 0 {
		live = t.current[0]
	}
	if leaving != nil {
		out.CPU = leaving.number
		out.Notes = append(out.Notes, "it is just being switched out")
	}
	if live != nil {
		out.Regs, out.Live, out.RegsErr = live.regs, live.err == nil, live.err
		return
	}
	if len(t.current) > 0 {
		// The processor is the other's until the stack is switched.
		out.CPU = kernel.NoCPU
		out.Notes = append(out.Notes, "it is just being switched in")
	}
	if out.State == kernel.Running && len(t.current) == 0 {
		out.RegsErr = errors.New("it runs on a processor whose registers are not known")
		return
	}
	ip, _ := l.ip.get(t.data)
	sp, _ := l.sp.get(t.data)
	c, err := s.k.restore(ip, sp, t.saved)
	if err != nil {
		if t.savedErr != nil {
			err = fmt.Errorf("%w: %w", err, t.savedErr)
		}
		out.RegsErr = err
		return
	}
	out.Regs, out.Returning, out.New, out.Entry = c.regs, c.returning, c.isNew, c.entry
}
