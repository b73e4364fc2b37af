package tracebuf

import "slices"

// maxOpen is how many spans may be open on one thread, maxThreads how many
// threads are told apart, maxRunning how many may run at once. Calls nest a few
// deep; only damage makes more.
const (
	maxOpen    = 1024
	maxThreads = 4096
	maxRunning = 1024
)

// Pairer makes spans of records. Begins and ends nest by thread where a
// Switch or the records themselves tell the threads apart, else over all
// records. Add and Measure are two ways to feed it; use one.
type Pairer struct {
	// Idle is the name of the threads that run when there is nothing to run.
	Idle string
	// ThreadName names the thread of an extended record, nil for hexadecimal.
	ThreadName func(addr uint64) string

	defs    *Definitions
	roles   []role // by Definition.Index
	sw      Switch
	threads threads
	// running are the threads that run, the latest last.
	running []int
	// onCPU are the threads that extended records tell to run, by CPU, 0 for
	// none; followed where switches are traced.
	onCPU    []int
	switches bool
	current  int
	known    bool
	lastID   uint64
	lean     bool

	met     []uint64 // records that MeasureAll took, by Definition.Index
	alone   []int    // halves without the other, by Definition.Index
	dropped []Unmatched
	lost    int
}

// openSpan is a begin that waits for its end.
type openSpan struct {
	id            uint64
	base, def     int
	start         uint64
	inner, waited uint64
	unsure        bool // that it is this thread's
	lost          bool // records were, since it began
	record        Record
	args          []byte // the record's, kept for the next span in this place
}

// NewPairer finds the pairs among defs by the names' convention. sw tells of
// the scheduler's switches, nil where they are not traced.
func NewPairer(defs *Definitions, sw *Switch) *Pairer {
	p := &Pairer{
		Idle: "idle", defs: defs, roles: rolesOf(defs), threads: newThreads(),
		met: make([]uint64, len(defs.All)), alone: make([]int, len(defs.All)),
	}
	if sw == nil {
		return p
	}
	p.sw = *sw
	for i, d := range defs.All {
		p.roles[i].switches = d.Name == sw.Name && sw.To >= 0 && sw.To < len(d.Args)
		p.switches = p.switches || p.roles[i].switches
	}
	return p
}

// Instant tells whether d neither begins nor ends a span.
func (p *Pairer) Instant(d *Definition) bool {
	return d.Index >= len(p.roles) || p.roles[d.Index].kind == instant
}

// Base is the index of the X that d begins or ends, or its own.
func (p *Pairer) Base(d *Definition) int { return p.roles[d.Index].base }

// Begins tells whether d begins a span.
func (p *Pairer) Begins(d *Definition) bool { return p.roles[d.Index].kind == begins }

// Thread returns the thread that runs now, "" if it is not known.
func (p *Pairer) Thread() string { return p.threads.list[p.current].name }

// NameOf returns the name of a thread by its number; 0 is the unknown one.
func (p *Pairer) NameOf(thread int) string { return p.threads.list[thread].name }

// Add takes the next record and returns the span it ends, if any. The record
// is copied where it is kept. Bad records are ignored.
func (p *Pairer) Add(r *Record) (Span, bool) {
	thread, unsure, role, ok := p.take(r)
	if !ok {
		return Span{}, false
	}
	if role.kind == begins {
		p.begin(r, thread, unsure, role)
		return Span{}, false
	}
	i := p.openIn(thread, role.base)
	if i < 0 {
		p.drop(r, thread, false)
		return Span{}, false
	}
	stack := p.threads.list[thread].stack
	s := Span{
		Root: stack[0].id, Name: p.defs.All[role.base].Name,
		Enter: stack[i].record, Leave: *r,
		Thread: p.threads.list[thread].name,
	}
	if i > 0 {
		s.Parent = stack[i-1].id
	}
	s.Interval = p.end(r, thread, i, unsure, role)
	return s, true
}

// Measure takes the next record and returns the interval it ends, if any. It
// keeps no records: Unmatched then has none, UnmatchedByDefinition counts.
func (p *Pairer) Measure(r *Record) (Interval, bool) {
	p.lean = true
	thread, unsure, role, ok := p.take(r)
	if !ok {
		return Interval{}, false
	}
	if role.kind == begins {
		p.begin(r, thread, unsure, role)
		return Interval{}, false
	}
	i := p.openIn(thread, role.base)
	if i < 0 {
		p.drop(r, thread, false)
		return Interval{}, false
	}
	return p.end(r, thread, i, unsure, role), true
}

// Enclosing appends the Base of the spans that are open on a thread, outermost
// first. After an Add or Measure that ended a span these are those around it,
// if its thread is known.
func (p *Pairer) Enclosing(dst []int, thread int) []int {
	for i := range p.threads.list[thread].stack {
		dst = append(dst, p.threads.list[thread].stack[i].base)
	}
	return dst
}

// Open is how many spans of a Base are open on all threads.
func (p *Pairer) Open(base int) (n int) {
	for t := range p.threads.list {
		for i := range p.threads.list[t].stack {
			if p.threads.list[t].stack[i].base == base {
				n++
			}
		}
	}
	return n
}

// Outermost tells whether at most one span is open on the thread that runs now.
func (p *Pairer) Outermost() bool { return len(p.threads.list[p.current].stack) <= 1 }

// take follows the switches and tells whose a record is; ok is false if it
// neither begins nor ends a span.
func (p *Pairer) take(r *Record) (thread int, unsure bool, role role, ok bool) {
	if r.Problem != Good || r.Def == nil || r.Def.Index >= len(p.roles) {
		return 0, false, role, false
	}
	role = p.roles[r.Def.Index]
	if r.Ext != nil {
		p.current, p.known = p.threads.byAddr(r.Ext.Thread, p.ThreadName), true
		if p.switches {
			p.ran(int(r.Ext.CPU), p.current, r.Time)
		}
		return p.current, false, role, role.kind != instant
	}
	if role.switches {
		p.follow(r)
	}
	if role.kind == instant {
		return 0, false, role, false
	}
	thread, unsure = p.whose(role)
	return thread, unsure, role, true
}

// follow keeps track of the threads that run.
func (p *Pairer) follow(r *Record) {
	next, ok := p.threads.of(r, p.sw.To, p.sw.NameOf)
	if !ok {
		return
	}
	prev := p.current
	if p.sw.From >= 0 {
		if prev, ok = p.threads.of(r, p.sw.From, p.sw.NameOf); ok {
			if i := slices.Index(p.running, prev); i >= 0 {
				p.running = slices.Delete(p.running, i, i+1)
			}
		}
		if len(p.running) == maxRunning {
			p.running = slices.Delete(p.running, 0, 1)
		}
		p.running = append(p.running, next)
	}
	p.threads.leaves(prev, r.Time)
	p.threads.runs(next, r.Time)
	p.current, p.known = next, true
}

// ran notes that a thread ran on a CPU. The arguments of a switch are not needed,
// and may name threads that have one name: whoever records next tells who runs.
func (p *Pairer) ran(cpu, thread int, time uint64) {
	if cpu >= maxRunning {
		return
	}
	if cpu >= len(p.onCPU) {
		p.onCPU = append(p.onCPU, make([]int, cpu+1-len(p.onCPU))...)
	}
	before := p.onCPU[cpu]
	if before == thread {
		return
	}
	// One that came from another CPU did not leave it when that one's next runs.
	for i, t := range p.onCPU {
		if t == thread {
			p.onCPU[i] = 0
		}
	}
	p.onCPU[cpu] = thread
	p.threads.leaves(before, time)
	p.threads.runs(thread, time)
}

// whose tells which thread a record is of; unsure if it may be another's.
func (p *Pairer) whose(role role) (thread int, unsure bool) {
	if len(p.running) < 2 {
		return p.current, false
	}
	busy, ending := 0, 0
	last, ender := p.current, 0
	for _, t := range p.running {
		if p.threads.list[t].name == p.Idle {
			continue
		}
		busy, last = busy+1, t
		if role.kind != begins && p.openIn(t, role.base) >= 0 {
			ending, ender = ending+1, t
		}
	}
	if ending > 0 {
		return ender, ending > 1
	}
	return last, busy > 1
}

// openIn returns the index of the innermost open span of a name, or -1.
func (p *Pairer) openIn(thread, base int) int {
	stack := p.threads.list[thread].stack
	i := len(stack) - 1
	for i >= 0 && stack[i].base != base {
		i--
	}
	return i
}

func (p *Pairer) begin(r *Record, thread int, unsure bool, role role) {
	t := &p.threads.list[thread]
	if len(t.stack) == maxOpen {
		// Half at once, so that a name that never ends costs little.
		for i := range t.stack[:maxOpen/2] {
			p.dropOpen(&t.stack[i], thread)
		}
		t.stack = append(t.stack[:0], t.stack[maxOpen/2:]...)
	}
	id := r.Position
	if id == 0 {
		p.lastID++
		id = p.lastID
	}
	n := len(t.stack)
	if n < cap(t.stack) {
		t.stack = t.stack[:n+1]
	} else {
		t.stack = append(t.stack, openSpan{})
	}
	o := &t.stack[n]
	o.id, o.base, o.def, o.start, o.unsure = id, role.base, r.Def.Index, r.Time, unsure
	o.inner, o.waited, o.lost = 0, t.waited, false
	if p.lean {
		return
	}
	o.args = append(o.args[:0], r.Args...)
	o.record = *r
	o.record.Args = o.args
	if r.Ext != nil {
		o.record.Ext = r.Clone().Ext
	}
}

// end closes span i of a thread's stack.
func (p *Pairer) end(r *Record, thread, i int, unsure bool, role role) Interval {
	t := &p.threads.list[thread]
	o := &t.stack[i]
	s := Interval{
		ID: o.id, Base: role.base, Start: o.start, End: r.Time, Inner: o.inner, Waited: sub(t.waited, o.waited),
		Failed: role.kind == fails, Ambiguous: unsure || o.unsure, AcrossLost: o.lost, OnThread: thread,
	}
	top := len(t.stack) - 1
	if i > 0 {
		t.stack[i-1].inner += s.Duration()
	}
	if i == top {
		t.stack = t.stack[:top]
		return s
	}
	if p.known && !s.Ambiguous {
		// On one thread, what began later and did not end never will.
		for j := i + 1; j <= top; j++ {
			p.dropOpen(&t.stack[j], thread)
		}
		t.stack = t.stack[:i]
		return s
	}
	// Without threads the later ones may belong to others: keep them.
	s.Ambiguous = true
	closed := *o
	copy(t.stack[i:], t.stack[i+1:])
	t.stack[top] = closed // its bytes are used again
	t.stack = t.stack[:top]
	return s
}

// Follow takes the next record for the switches of threads alone.
func (p *Pairer) Follow(r *Record) {
	p.lean = true
	p.take(r)
}
