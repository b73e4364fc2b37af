package unikraft

import "fmt"

const (
	maxWaiters = 4096
	maxQueues  = 4096
)

// waiter is a thread's place in a wait queue.
type waiter struct {
	object uint64 // run-time address
	on     *WaitObject
	owner  uint64 // thread that holds it, 0 if none or not known
}

// text says what is waited for and who has it.
func (w *waiter) text(s *survey) string {
	text := w.on.Kind + " " + w.on.Name
	if w.owner == 0 {
		return text
	}
	if t := s.known[w.owner]; t != nil && len(t.name) > 0 {
		return fmt.Sprintf("%s, held by %s", text, t.name)
	}
	return fmt.Sprintf("%s, held by the thread at %#x", text, w.owner)
}

// waitQueues walks the wait queues at fixed places, to find who waits in them.
type waitQueues struct {
	queues []*waitQueue
}

type waitQueue struct {
	on    *WaitObject
	walk  *walk
	owner uint64
}

// waitQueues prepares the walks. An image's objects are looked up once.
func (k *Kernel) waitQueues(s *survey) *waitQueues {
	q := &waitQueues{}
	l := &k.layout
	if !l.entryNext.ok || !l.entryThread.ok || !l.first.ok || l.entrySize == 0 {
		return q
	}
	if !k.waitsOK {
		k.waits, k.waitsOK = k.cfg.Image.WaitObjects(), true
	}
	for i := range k.waits {
		if i == maxQueues {
			s.note("of %d wait queues, %d are looked at", len(k.waits), maxQueues)
			break
		}
		q.queues = append(q.queues, &waitQueue{on: &k.waits[i]})
	}
	return q
}

// step goes on with all walks.
func (q *waitQueues) step(s *survey) {
	l, slide := &s.k.layout, s.k.cfg.Slide
	for _, w := range q.queues {
		if w.on.Owner != 0 {
			if b, ok, err := s.f.get(w.on.Owner+slide, 8); ok && err == nil {
				w.owner = le64(b)
			}
		}
		if w.walk == nil {
			b, ok, err := s.f.get(w.on.Queue+slide+l.first.off, 8)
			if !ok || err != nil {
				continue
			}
			what := fmt.Sprintf("wait queue of %s %s", w.on.Kind, w.on.Name)
			w.walk = newWalk(what, le64(b), l.entryNext, l.entrySize, maxWaiters)
		}
		w.walk.step(s.f)
	}
}

// finish gives the waiting threads what they wait for. An entry lies on its
// waiter's stack, so a thread met only here is none that any list holds: it is
// not believed.
func (q *waitQueues) finish(s *survey) {
	for _, w := range q.queues {
		if w.walk == nil {
			continue
		}
		if w.walk.note != "" {
			s.note("%s", w.walk.note)
		}
		for _, addr := range w.walk.nodes {
			b, _, _ := s.f.get(addr, int(s.k.layout.entrySize))
			thread, ok := s.k.layout.entryThread.get(b)
			if !ok {
				continue
			}
			t := s.known[thread]
			if t == nil {
				s.note("wait queue of %s %s: the thread at %#x is in no scheduler's list", w.on.Kind, w.on.Name, thread)
				continue
			}
			t.wait = &waiter{object: w.on.Addr + s.k.cfg.Slide, on: w.on, owner: w.owner}
		}
	}
}
