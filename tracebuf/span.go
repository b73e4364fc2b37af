package tracebuf

import (
	"slices"
	"strings"
)

// Span is the time between a tracepoint X and its X_ret or X_err.
type Span struct {
	// ID numbers spans from 1 in the order in which they begin; Parent is the
	// ID of the enclosing span, 0 if there is none. An enclosing span may never
	// end, in which case it comes in Unmatched.
	ID, Parent uint64
	// Root is the ID of the outermost enclosing span, ID itself if there is
	// none.
	Root uint64
	Name string
	// Start and End are in nanoseconds since the guest's boot.
	Start, End uint64
	// Failed: it ended by X_err.
	Failed bool
	// Enter and Leave are the two records; they own their bytes.
	Enter, Leave Record
	// Thread is the name of the thread, "" where it is not known.
	Thread string
	// Ambiguous: Enter or Leave may be another thread's, because threads are
	// not known and other spans were open that began later, or because several
	// threads ran on several CPUs, which records do not name.
	Ambiguous bool
}

// Duration is how long the span took in nanoseconds, 0 if the clock went back.
func (s *Span) Duration() uint64 {
	if s.End < s.Start {
		return 0
	}
	return s.End - s.Start
}

// Unmatched is a begin or an end whose other half is missing: still open,
// before the first record, or lost.
type Unmatched struct {
	Record Record
	Thread string
	// Open: a begin that did not end.
	Open bool
}

// maxOpen is how many spans may be open on one thread, maxThreads how many
// threads are told apart. Calls nest a few deep; only damage makes more.
const (
	maxOpen    = 1024
	maxThreads = 4096
)

// Pairer makes spans of records. Begins and ends nest by thread where a
// ThreadOf tells the threads apart, else over all records.
type Pairer struct {
	// ThreadOf, if set, is asked for every good record and returns the thread
	// that runs from this record on; ok is false if the record is no switch.
	// SwitchBy makes one for a scheduler's tracepoint.
	ThreadOf func(*Record) (thread string, ok bool)
	// LeaverOf, if set, returns the thread that stops running at such a switch.
	// With it, threads that run on several CPUs at once are told apart as far as
	// can be: a record then is that of the only one that is not Idle, or of the
	// only one that can end a span.
	LeaverOf func(*Record) (thread string, ok bool)
	// Idle is the name of the threads that run when there is nothing to run.
	Idle string

	// running are the threads that run, the latest last.
	running []string
	roles   []role // by Definition.Index
	stacks  map[string][]openSpan
	thread  string
	known   bool
	lastID  uint64
	dropped []Unmatched
	lost    int
}

type roleKind uint8

const (
	instant roleKind = iota
	begins
	ends
	fails
)

// role is what a definition does to spans; base is X's name.
type role struct {
	kind roleKind
	base string
}

type openSpan struct {
	id     uint64
	unsure bool // that it is this thread's
	record Record
}

// NewPairer finds the pairs among defs by the names' convention.
func NewPairer(defs *Definitions) *Pairer {
	p := &Pairer{roles: make([]role, len(defs.All)), stacks: map[string][]openSpan{}, Idle: "idle"}
	names := make(map[string]bool, len(defs.All))
	for _, d := range defs.All {
		names[d.Name] = true
	}
	for i, d := range defs.All {
		p.roles[i] = roleOf(d.Name, names)
	}
	return p
}

func roleOf(name string, names map[string]bool) role {
	if base, ok := strings.CutSuffix(name, "_ret"); ok && names[base] {
		return role{ends, base}
	}
	if base, ok := strings.CutSuffix(name, "_err"); ok && names[base] {
		return role{fails, base}
	}
	if names[name+"_ret"] || names[name+"_err"] {
		return role{begins, name}
	}
	return role{instant, name}
}

// SwitchBy makes a ThreadOf from a scheduler's tracepoint called name whose
// argument arg is the thread that runs next: its name, or its address, which
// nameOf turns into a name.
func SwitchBy(name string, arg int, nameOf func(addr uint64) string) func(*Record) (string, bool) {
	return func(r *Record) (string, bool) {
		if r.Def.Name != name || arg < 0 || arg >= len(r.Def.Args) {
			return "", false
		}
		if r.Def.Args[arg].Type == ArgString {
			return r.String(arg), true
		}
		if nameOf == nil {
			return "", false
		}
		return nameOf(r.Uint(arg)), true
	}
}

// Instant tells whether d neither begins nor ends a span.
func (p *Pairer) Instant(d *Definition) bool {
	return d.Index >= len(p.roles) || p.roles[d.Index].kind == instant
}

// Thread returns the thread that runs now, "" if it is not known.
func (p *Pairer) Thread() string { return p.thread }

// Add takes the next record and returns the span it ends, if any. The record
// is copied where it is kept. Bad records are ignored.
func (p *Pairer) Add(r *Record) (Span, bool) {
	if r.Problem != Good || r.Def == nil || r.Def.Index >= len(p.roles) {
		return Span{}, false
	}
	p.follow(r)
	role := p.roles[r.Def.Index]
	if role.kind == instant {
		return Span{}, false
	}
	thread, unsure := p.whose(role)
	if role.kind == begins {
		p.begin(r, thread, unsure)
		return Span{}, false
	}
	return p.end(r, role, thread, unsure)
}

// maxRunning bounds the threads taken to run at once.
const maxRunning = 1024

// follow keeps track of the threads that run.
func (p *Pairer) follow(r *Record) {
	if p.ThreadOf == nil {
		return
	}
	next, ok := p.ThreadOf(r)
	if !ok || p.stacks[next] == nil && len(p.stacks) >= maxThreads {
		return
	}
	p.thread, p.known = next, true
	if p.LeaverOf == nil {
		return
	}
	if prev, ok := p.LeaverOf(r); ok {
		if i := slices.Index(p.running, prev); i >= 0 {
			p.running = slices.Delete(p.running, i, i+1)
		}
	}
	if len(p.running) == maxRunning {
		p.running = slices.Delete(p.running, 0, 1)
	}
	p.running = append(p.running, next)
}

// whose tells which thread a record is of; unsure if it may be another's.
func (p *Pairer) whose(role role) (thread string, unsure bool) {
	busy, ending := 0, 0
	last, ender := p.thread, ""
	for _, t := range p.running {
		if t == p.Idle {
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
func (p *Pairer) openIn(thread, base string) int {
	stack := p.stacks[thread]
	i := len(stack) - 1
	for i >= 0 && stack[i].record.Def.Name != base {
		i--
	}
	return i
}

func (p *Pairer) begin(r *Record, thread string, unsure bool) {
	stack := p.stacks[thread]
	if len(stack) == maxOpen {
		p.drop(Unmatched{Record: stack[0].record, Thread: thread, Open: true})
		stack = append(stack[:0], stack[1:]...)
	}
	p.lastID++
	p.stacks[thread] = append(stack, openSpan{id: p.lastID, unsure: unsure, record: r.Clone()})
}

func (p *Pairer) end(r *Record, role role, thread string, unsure bool) (Span, bool) {
	stack, i := p.stacks[thread], p.openIn(thread, role.base)
	if i < 0 {
		p.drop(Unmatched{Record: r.Clone(), Thread: thread})
		return Span{}, false
	}
	s := Span{
		ID: stack[i].id, Root: stack[0].id, Name: role.base,
		Start: stack[i].record.Time, End: r.Time,
		Failed: role.kind == fails,
		Enter:  stack[i].record, Leave: r.Clone(),
		Thread:    thread,
		Ambiguous: unsure || stack[i].unsure,
	}
	if i > 0 {
		s.Parent = stack[i-1].id
	}
	if p.known && !s.Ambiguous {
		// On one thread, what began later and did not end never will.
		for _, o := range stack[i+1:] {
			p.drop(Unmatched{Record: o.record, Thread: thread, Open: true})
		}
		p.stacks[thread] = stack[:i]
		return s, true
	}
	// Without threads the later ones may belong to others: keep them.
	s.Ambiguous = s.Ambiguous || i != len(stack)-1
	p.stacks[thread] = append(stack[:i], stack[i+1:]...)
	return s, true
}

// maxUnmatched bounds how many are kept one by one.
const maxUnmatched = 4096

func (p *Pairer) drop(u Unmatched) {
	if len(p.dropped) == maxUnmatched {
		p.lost++
		return
	}
	p.dropped = append(p.dropped, u)
}

// Unmatched returns the halves without their other half so far, the still open
// ones included; more is how many are not listed.
func (p *Pairer) Unmatched() (list []Unmatched, more int) {
	list, more = append(list, p.dropped...), p.lost
	for thread, stack := range p.stacks {
		for _, o := range stack {
			if len(list) == maxUnmatched {
				more++
				continue
			}
			list = append(list, Unmatched{Record: o.record, Thread: thread, Open: true})
		}
	}
	sortByPosition(list)
	return list, more
}
