package tracebuf

import "strings"

// Span is the time between a tracepoint X and its X_ret or X_err.
type Span struct {
	// ID numbers spans from 1 in the order in which they begin; Parent is the
	// ID of the enclosing span, 0 if there is none. An enclosing span may never
	// end, in which case it comes in Unmatched.
	ID, Parent uint64
	Name       string
	// Start and End are in nanoseconds since the guest's boot.
	Start, End uint64
	// Failed: it ended by X_err.
	Failed bool
	// Enter and Leave are the two records; they own their bytes.
	Enter, Leave Record
	// Thread is the name of the thread, "" where it is not known.
	Thread string
	// Ambiguous: threads are not known and other spans were open that began
	// later, so that Enter may be that of another thread.
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
	record Record
}

// NewPairer finds the pairs among defs by the names' convention.
func NewPairer(defs *Definitions) *Pairer {
	p := &Pairer{roles: make([]role, len(defs.All)), stacks: map[string][]openSpan{}}
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
	if p.ThreadOf != nil {
		if t, ok := p.ThreadOf(r); ok && (p.stacks[t] != nil || len(p.stacks) < maxThreads) {
			p.thread, p.known = t, true
		}
	}
	role := p.roles[r.Def.Index]
	switch role.kind {
	case begins:
		p.begin(r)
	case ends, fails:
		return p.end(r, role)
	}
	return Span{}, false
}

func (p *Pairer) begin(r *Record) {
	stack := p.stacks[p.thread]
	if len(stack) == maxOpen {
		p.drop(Unmatched{Record: stack[0].record, Thread: p.thread, Open: true})
		stack = append(stack[:0], stack[1:]...)
	}
	p.lastID++
	p.stacks[p.thread] = append(stack, openSpan{id: p.lastID, record: r.Clone()})
}

func (p *Pairer) end(r *Record, role role) (Span, bool) {
	stack := p.stacks[p.thread]
	i := len(stack) - 1
	for i >= 0 && stack[i].record.Def.Name != role.base {
		i--
	}
	if i < 0 {
		p.drop(Unmatched{Record: r.Clone(), Thread: p.thread})
		return Span{}, false
	}
	s := Span{
		ID: stack[i].id, Name: role.base,
		Start: stack[i].record.Time, End: r.Time,
		Failed: role.kind == fails,
		Enter:  stack[i].record, Leave: r.Clone(),
		Thread: p.thread,
	}
	if i > 0 {
		s.Parent = stack[i-1].id
	}
	if p.known {
		// On one thread, what began later and did not end never will.
		for _, o := range stack[i+1:] {
			p.drop(Unmatched{Record: o.record, Thread: p.thread, Open: true})
		}
		p.stacks[p.thread] = stack[:i]
		return s, true
	}
	// Without threads the later ones may belong to others: keep them.
	s.Ambiguous = i != len(stack)-1
	p.stacks[p.thread] = append(stack[:i], stack[i+1:]...)
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
