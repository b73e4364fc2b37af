package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/hist"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Lock is what happened to one lock.
type Lock struct {
	Guest *stream.Guest
	// Kind is its tracepoint, as "mutex_lock"; Addr the first argument.
	Kind string
	Addr uint64
	// Wait has the times from asking to getting it, Hold those from getting it
	// to giving it back. Contended counts those whose thread was off the
	// processor meanwhile.
	Wait, Hold hist.Histogram
	Contended  uint64
	// Waiters are the threads by how long they waited in all, in nanoseconds.
	Waiters map[string]uint64

	taken uint64
	held  bool
}

// Locks follows tracepoints named X_lock, X_lock_ret and X_unlock (or X_down,
// X_up) whose first argument is the lock.
type Locks struct {
	// AcrossLost is how many times to get a lock were left out because records were
	// lost meanwhile.
	AcrossLost uint64

	locks map[lockKey]*Lock
	roles map[*stream.Guest]map[string]string // unlock name → lock name
}

type lockKey struct {
	guest *stream.Guest
	kind  string
	addr  uint64
}

// NewLocks returns an empty analysis.
func NewLocks() *Locks {
	return &Locks{locks: map[lockKey]*Lock{}, roles: map[*stream.Guest]map[string]string{}}
}

// isLock tells whether a tracepoint takes a lock, and what its release is called.
func isLock(name string) (release string, ok bool) {
	if s, ok := strings.CutSuffix(name, "lock"); ok && !strings.HasSuffix(name, "unlock") && !strings.HasSuffix(name, "block") {
		return s + "unlock", true
	}
	if s, ok := strings.CutSuffix(name, "_down"); ok {
		return s + "_up", true
	}
	return "", false
}

// IsLock reports whether a span is the time to get a lock, whose address is the
// first argument.
func IsLock(g *stream.Guest, sp *tracebuf.Span) bool {
	_, ok := isLock(sp.Name)
	return ok && !sp.Failed && len(sp.Enter.Def.Args) > 0 && g.Definitions.ByName(sp.Name+"_ret") != nil
}

// of maps the releases of a guest to what they release.
func (a *Locks) of(g *stream.Guest) map[string]string {
	m := a.roles[g]
	if m != nil {
		return m
	}
	m = map[string]string{}
	for _, d := range g.Definitions.All {
		if release, ok := isLock(d.Name); ok && len(d.Args) > 0 && g.Definitions.ByName(d.Name+"_ret") != nil {
			m[release] = d.Name
		}
	}
	a.roles[g] = m
	return m
}

// maxLocks bounds how many locks are told apart.
const maxLocks = 1 << 16

func (a *Locks) lock(g *stream.Guest, kind string, addr uint64) *Lock {
	k := lockKey{g, kind, addr}
	l := a.locks[k]
	if l == nil && len(a.locks) < maxLocks {
		l = &Lock{Guest: g, Kind: kind, Addr: addr, Waiters: map[string]uint64{}}
		a.locks[k] = l
	}
	return l
}

// Span takes the time to get a lock; it is a Visitor's.
func (a *Locks) Span(s *Seen, sp *tracebuf.Span) error {
	release, ok := isLock(sp.Name)
	if !ok || a.of(s.Guest)[release] != sp.Name || sp.Failed {
		return nil
	}
	if sp.AcrossLost {
		a.AcrossLost++
		return nil
	}
	l := a.lock(s.Guest, sp.Name, sp.Enter.Uint(0))
	if l == nil {
		return nil
	}
	l.Wait.Add(sp.Duration())
	if sp.Waited > 0 {
		l.Contended++
	}
	if len(l.Waiters) < maxThreads {
		l.Waiters[sp.Thread] += sp.Duration()
	}
	l.taken, l.held = sp.End, true
	return nil
}

// Record takes the giving back of a lock; it is a Visitor's.
func (a *Locks) Record(s *Seen) error {
	kind, ok := a.of(s.Guest)[s.Rec.Def.Name]
	if !ok || len(s.Rec.Def.Args) == 0 {
		return nil
	}
	l := a.locks[lockKey{s.Guest, kind, s.Rec.Uint(0)}]
	if l != nil && l.held {
		l.Hold.Add(s.Rec.Time - min(s.Rec.Time, l.taken))
		l.held = false
	}
	return nil
}

// Gap forgets who holds what: records are missing here.
func (a *Locks) Gap(g *stream.Guest) {
	for k, l := range a.locks {
		if k.guest == g {
			l.held = false
		}
	}
}

// Locks returns the locks, those waited for longest first.
func (a *Locks) Locks() []*Lock {
	var out []*Lock
	for _, l := range a.locks {
		out = append(out, l)
	}
	slices.SortFunc(out, func(x, y *Lock) int {
		return cmp.Or(cmp.Compare(y.Wait.Sum(), x.Wait.Sum()), cmp.Compare(x.Guest.Number, y.Guest.Number), cmp.Compare(x.Addr, y.Addr))
	})
	return out
}

// Told reports whether a guest has tracepoints that tell of locks.
func (a *Locks) Told(g *stream.Guest) bool { return len(a.of(g)) > 0 }

// Missing names the tracepoints that would tell more.
func (a *Locks) Missing(g *stream.Guest) []string {
	m := a.of(g)
	if len(m) == 0 {
		return []string{"locks: no tracepoints X_lock and X_lock_ret whose first argument is the lock"}
	}
	var out []string
	for release, kind := range m {
		if g.Definitions.ByName(release) == nil {
			out = append(out, "how long "+kind+" is held: no tracepoint "+release)
		}
	}
	slices.Sort(out)
	return out
}
