package unikraft

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/kernel"
)

const (
	maxThreads = 4096
	maxScheds  = 256
	maxCPUs    = 1024
	maxName    = 64
	maxRounds  = 2*maxThreads + 16
)

// Flags of struct uk_thread (lib/uksched/include/uk/thread.h).
const (
	flagRunnable = 0x08
	flagExited   = 0x10
)

// Threads lists the threads of all schedulers. Its cost is the longest list's
// half in round trips: all lists, from both ends, and all wait queues are read
// together.
func (k *Kernel) Threads(ctx context.Context) (*kernel.ThreadList, error) {
	if len(k.layout.missing) > 0 {
		return nil, absent("threads", k.layout.missing[0])
	}
	if _, _, ok := k.symbol("uk_sched_head"); !ok {
		return nil, absent("threads", "no symbol uk_sched_head; the image has no scheduler")
	}
	s := &survey{k: k, f: newFetcher(k.cfg.Memory), list: &kernel.ThreadList{}, known: map[uint64]*found{}}
	s.readCPUs(ctx)
	if err := s.collect(ctx); err != nil {
		return nil, fmt.Errorf("threads: %w", err)
	}
	if err := s.details(ctx); err != nil {
		return nil, fmt.Errorf("threads: %w", err)
	}
	s.describe()
	k.number(s.list, s.complete)
	s.list.RoundTrips = s.f.trips
	return s.list, nil
}

// number gives threads their ids. A thread that is gone loses its number, so
// that a new one at the same address gets its own.
func (k *Kernel) number(list *kernel.ThreadList, complete bool) {
	present := map[uint64]int{}
	for _, idle := range []bool{false, true} {
		for i := range list.Threads {
			t := &list.Threads[i]
			if isIdle := t.State == kernel.Idle || t.Name == "idle"; isIdle != idle {
				continue
			}
			key := t.Addr
			if key == 0 {
				// A processor without a thread, which is no other one's: an address of
				// its own where no structure fits.
				key = ^uint64(0) - uint64(t.CPU)
			}
			id, ok := k.ids[key]
			if !ok {
				k.lastID++
				id = k.lastID
			}
			t.ID, present[key] = id, id
		}
	}
	if complete {
		k.ids = present
		return
	}
	for addr, id := range present {
		k.ids[addr] = id
	}
}

// survey is one reading of all threads.
type survey struct {
	k     *Kernel
	f     *fetcher
	list  *kernel.ThreadList
	cpus  []*cpu
	known map[uint64]*found
	order []*found
	idles []uint64
	// scheds is the walk of the schedulers; lists are those they lead to.
	scheds *walk
	read   map[uint64]bool // schedulers whose lists are being walked
	lists  []*threadWalk
	queues *waitQueues
	// currents are the threads that run by their index, kept where a
	// processor's index is not known.
	currents   map[int]uint64
	currentErr error
	now        uint64
	nowOK      bool
	// complete: every list ended as lists do.
	complete bool
}

// found is a thread and where it was met.
type found struct {
	addr     uint64
	data     []byte
	err      error
	exited   bool
	ready    bool
	sleeping bool
	idle     bool
	placed   bool
	running  bool // on a processor that is not known
	current  []*cpu
	wait     *waiter
	name     []byte
	nameErr  error
	saved    []byte
	savedErr error
}

// threadWalk is a walk over threads and what membership means.
type threadWalk struct {
	*walk
	mark func(*found)
	// asked counts the nodes whose names and contexts were asked for.
	asked int
}

func (s *survey) note(format string, args ...any) {
	s.list.Notes = append(s.list.Notes, fmt.Sprintf(format, args...))
}

// thread returns the record of the thread at addr.
func (s *survey) thread(addr uint64) *found {
	t := s.known[addr]
	if t == nil {
		t = &found{addr: addr}
		s.known[addr] = t
	}
	return t
}

// collect reads everything that hangs together by pointers.
func (s *survey) collect(ctx context.Context) error {
	head, _, _ := s.k.symbol("uk_sched_head")
	s.queues = s.k.waitQueues(s)
	s.read = map[uint64]bool{}
	for round := 0; ; round++ {
		if s.scheds == nil {
			if b, ok, err := s.f.get(head, 8); err != nil {
				return fmt.Errorf("uk_sched_head: %w", err)
			} else if ok {
				first := le64(b)
				s.scheds = newWalk("list of schedulers", first, s.k.layout.schedNext, s.k.layout.schedSize, maxScheds)
				if n := s.k.layout.coopSize; n > 0 && first != 0 {
					s.f.want(first, int(n)) // most are cooperative
				}
			}
		}
		if s.scheds != nil {
			s.scheds.step(s.f)
			for _, addr := range s.scheds.nodes {
				s.openSched(addr)
			}
		}
		for _, w := range s.lists {
			w.step(s.f)
			for ; w.asked < len(w.nodes); w.asked++ {
				s.detail(&found{addr: w.nodes[w.asked]}) // asks in the same batch
			}
		}
		s.stepCPUs()
		s.queues.step(s)
		more, err := s.f.run(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if round >= maxRounds {
			s.note("the lists of threads are longer than is read; the rest is not shown")
			break
		}
	}
	s.finish()
	return nil
}

// openSched starts the walks of a scheduler's lists.
func (s *survey) openSched(addr uint64) {
	l := &s.k.layout
	if s.read[addr] {
		return
	}
	b, ok, err := s.f.get(addr, int(l.schedSize))
	if !ok || err != nil {
		return
	}
	coop, coopOK := s.coop(addr)
	if !coopOK {
		return
	}
	s.read[addr] = true
	at := fmt.Sprintf("of the scheduler at %#x", addr)
	add := func(what string, first, last field, mem []byte, link, prev field, mark func(*found)) {
		v, ok := first.get(mem)
		if !ok || v == 0 || !link.ok {
			return
		}
		w := newWalk(what+" "+at, v, link, l.size, maxThreads)
		w.backwards(addr+first.off, last.value(mem), prev)
		s.lists = append(s.lists, &threadWalk{walk: w, mark: mark})
	}
	add("thread list", l.threads, l.threadsLast, b, l.listNext, l.listPrev, func(*found) {})
	add("list of exited threads", l.exited, field{}, b, l.listNext, l.listPrev, func(t *found) { t.exited = true })
	if coop == nil {
		return
	}
	add("run queue", l.runQueue, l.runLast, coop, l.queueNext, l.queuePrev, func(t *found) { t.ready = true })
	add("sleep queue", l.sleepQueue, l.sleepLast, coop, l.queueNext, l.queuePrev, func(t *found) { t.sleeping = true })
	if l.idle.ok {
		s.thread(addr + l.idle.off).idle = true
		s.idles = append(s.idles, addr+l.idle.off)
	}
	if now, ok := l.lastSwitch.get(coop); ok && now >= s.now {
		s.now, s.nowOK = now, true
	}
}

// coop returns the bytes of a struct schedcoop, nil for another scheduler; ok
// is false while they are on their way. It is one if its yield function is that
// of the cooperative scheduler.
func (s *survey) coop(addr uint64) (b []byte, ok bool) {
	l := &s.k.layout
	if l.coopSize == 0 || !l.runQueue.ok {
		return nil, true
	}
	yield := (&layouter{img: s.k.cfg.Image}).optional("uk_sched", "yield")
	base, _, _ := s.f.get(addr, int(l.schedSize))
	fn, known := yield.get(base)
	if name, _, named := s.k.symbolAt(fn); known && named && !strings.HasPrefix(name, "schedcoop") {
		return nil, true
	}
	b, ok, err := s.f.get(addr, int(l.coopSize))
	if err != nil {
		s.note("scheduler at %#x: its queues are not readable (%v)", addr, err)
		return nil, true
	}
	return b, ok
}

// finish turns what the walks met into threads, in the order of the lists.
func (s *survey) finish() {
	s.complete = true
	if s.scheds != nil {
		s.complete = s.scheds.complete
		if s.scheds.note != "" {
			s.note("%s", s.scheds.note)
		}
	}
	for _, w := range s.lists {
		s.complete = s.complete && w.complete
		if w.note != "" {
			s.note("%s", w.note)
		}
		for _, addr := range w.nodes {
			w.mark(s.place(addr))
		}
	}
	for _, c := range s.cpus {
		if c.threadOK && c.thread != 0 {
			t := s.place(c.thread)
			t.current = append(t.current, c)
		}
	}
	s.settleCPUs()
	for _, addr := range s.idles {
		s.place(addr)
	}
	s.queues.finish(s)
}

// place puts a thread at the end of the order unless it has a place.
func (s *survey) place(addr uint64) *found {
	t := s.thread(addr)
	if !t.placed {
		t.placed = true
		s.order = append(s.order, t)
	}
	return t
}

// details reads names and saved contexts, all in one batch; a thread that no
// list holds takes one more.
func (s *survey) details(ctx context.Context) error {
	for more := true; more; {
		for _, t := range s.order {
			s.detail(t)
		}
		var err error
		if more, err = s.f.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *survey) detail(t *found) {
	l := &s.k.layout
	if t.data, _, t.err = s.f.get(t.addr, int(l.size)); t.data == nil {
		return
	}
	if p, ok := l.name.get(t.data); ok && p != 0 {
		t.name, t.nameErr = s.cstring(p)
	}
	if p, ok := l.sp.get(t.data); ok {
		t.saved, t.savedErr = s.saved(p)
	}
}

// saved reads a saved context. A new thread's is shorter and lies at the top of
// its stack, behind which there may be a guard page: pages are read apart, and
// what is behind the first may be missing.
func (s *survey) saved(sp uint64) ([]byte, error) {
	const page = 1 << pageShift
	size := int(s.k.arch.size)
	first := min(size, page-int(sp%page))
	a, _, err := s.f.get(sp, first)
	if first == size {
		return a, err
	}
	b, _, _ := s.f.get(sp+uint64(first), size-first)
	return append(slices.Clone(a), b...), err
}

// cstring reads a name, never past the 64-byte line boundary more than needed:
// the second line is read on its own, as it may be a hole.
func (s *survey) cstring(p uint64) ([]byte, error) {
	first := maxName - int(p%maxName)
	a, ok, err := s.f.get(p, first)
	if !ok || err != nil {
		return nil, err
	}
	if i := bytes.IndexByte(a, 0); i >= 0 {
		return a[:i], nil
	}
	b, ok, err := s.f.get(p+uint64(first), maxName)
	if !ok || err != nil {
		return a, nil // cut at the hole, like one without a NUL
	}
	a = append(slices.Clone(a), b...)
	if i := bytes.IndexByte(a, 0); i >= 0 {
		a = a[:i]
	}
	return a[:min(len(a), maxName)], nil
}

func le64(b []byte) uint64 {
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}
