package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// SizeClass is what was allocated of one size.
type SizeClass struct {
	// Size is what was asked for, in bytes.
	Size uint64
	// Allocated and Freed count, Failed those that got nothing. Live is what was
	// allocated in the trace and not given back in it.
	Allocated, Freed, Failed, Live uint64
	// Oldest is how long the oldest live one is there, in nanoseconds.
	Oldest uint64
}

// Chain is a call chain and what it allocated and nobody gave back.
type Chain struct {
	// Frames are return addresses, innermost first, as they are at run time.
	Frames      []uint64
	Live, Bytes uint64
}

// Allocs balances allocations against frees. It follows a tracepoint whose name
// ends with malloc, calloc, memalign, palloc or alloc, with the size in an
// argument of that name or else the last integer, whose X_ret has the address
// first; and one that ends with free, with the address first.
type Allocs struct {
	sizes map[uint64]*SizeClass
	live  map[allocKey]alloc
	roles map[*stream.Guest]*allocRoles
	last  map[*stream.Guest]uint64
	// balance is the live bytes.
	balance map[*stream.Guest]int64
	// Unknown counts frees of what was allocated before the trace, or unseen;
	// Dropped allocations that were too many to follow.
	Unknown, Dropped uint64
}

type allocKey struct {
	guest *stream.Guest
	addr  uint64
}

type alloc struct {
	size, time uint64
	chain      string // the bytes of its call chain
}

type allocRoles struct {
	sizeArg map[string]int
	frees   map[string]bool
}

// NewAllocs returns an empty analysis.
func NewAllocs() *Allocs {
	return &Allocs{
		sizes: map[uint64]*SizeClass{}, live: map[allocKey]alloc{}, roles: map[*stream.Guest]*allocRoles{}, last: map[*stream.Guest]uint64{},
		balance: map[*stream.Guest]int64{},
	}
}

func (a *Allocs) of(g *stream.Guest) *allocRoles {
	r := a.roles[g]
	if r != nil {
		return r
	}
	r = &allocRoles{sizeArg: map[string]int{}, frees: map[string]bool{}}
	for _, d := range g.Definitions.All {
		switch {
		case strings.HasSuffix(d.Name, "free") && len(d.Args) > 0 && d.Args[0].Type == tracebuf.ArgInt:
			r.frees[d.Name] = true
		case strings.HasSuffix(d.Name, "alloc") || strings.HasSuffix(d.Name, "memalign"):
			ret := g.Definitions.ByName(d.Name + "_ret")
			if ret == nil || len(ret.Args) == 0 || ret.Args[0].Type != tracebuf.ArgInt {
				continue
			}
			if i, ok := sizeArgument(d); ok {
				r.sizeArg[d.Name] = i
			}
		}
	}
	a.roles[g] = r
	return r
}

func sizeArgument(d *tracebuf.Definition) (int, bool) {
	best, found := 0, false
	for i, arg := range d.Args {
		if arg.Type != tracebuf.ArgInt {
			continue
		}
		if n := d.ArgName(i); n == "size" || n == "len" || n == "bytes" {
			return i, true
		}
		best, found = i, true
	}
	return best, found
}

// Bounds on what is followed.
const (
	maxLive  = 1 << 21
	maxSizes = 1 << 16
)

func (a *Allocs) class(size uint64) *SizeClass {
	c := a.sizes[size]
	if c == nil {
		if len(a.sizes) == maxSizes {
			return nil
		}
		c = &SizeClass{Size: size}
		a.sizes[size] = c
	}
	return c
}

// Span takes an allocation; it is a Visitor's.
func (a *Allocs) Span(s *Seen, sp *tracebuf.Span) error {
	arg, ok := a.of(s.Guest).sizeArg[sp.Name]
	if !ok {
		return nil
	}
	size := sp.Enter.Uint(arg)
	c := a.class(size)
	if c == nil {
		a.Dropped++
		return nil
	}
	addr := sp.Leave.Uint(0)
	if sp.Failed || addr == 0 {
		c.Failed++
		return nil
	}
	c.Allocated++
	if len(a.live) == maxLive {
		a.Dropped++
		return nil
	}
	chain := ""
	if sp.Enter.Ext != nil {
		chain = string(sp.Enter.Ext.Stack)
	}
	k := allocKey{s.Guest, addr}
	if was, ok := a.live[k]; ok {
		a.balance[s.Guest] -= int64(was.size) // its free was not seen
	}
	a.live[k] = alloc{size, sp.End, chain}
	a.balance[s.Guest] += int64(size)
	return nil
}

// Balance is the bytes that were allocated in the trace and not given back.
func (a *Allocs) Balance(g *stream.Guest) int64 { return a.balance[g] }

// Record takes a free; it is a Visitor's.
func (a *Allocs) Record(s *Seen) error {
	a.last[s.Guest] = s.Rec.Time
	if !a.of(s.Guest).frees[s.Rec.Def.Name] || s.Rec.Uint(0) == 0 {
		return nil
	}
	k := allocKey{s.Guest, s.Rec.Uint(0)}
	was, ok := a.live[k]
	if !ok {
		a.Unknown++
		return nil
	}
	delete(a.live, k)
	a.balance[s.Guest] -= int64(was.size)
	a.sizes[was.size].Freed++
	return nil
}

// Sizes returns the sizes, those with the most live bytes first.
func (a *Allocs) Sizes() []*SizeClass {
	for _, c := range a.sizes {
		c.Live, c.Oldest = 0, 0
	}
	for k, l := range a.live {
		c := a.sizes[l.size]
		c.Live++
		c.Oldest = max(c.Oldest, a.last[k.guest]-min(a.last[k.guest], l.time))
	}
	var out []*SizeClass
	for _, c := range a.sizes {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y *SizeClass) int {
		return cmp.Or(cmp.Compare(y.Live*y.Size, x.Live*x.Size), cmp.Compare(y.Allocated, x.Allocated), cmp.Compare(x.Size, y.Size))
	})
	return out
}

// Chains returns the call chains with live allocations, those with the most
// bytes first; none where records have no backtraces.
func (a *Allocs) Chains() []Chain {
	sum := map[string]*Chain{}
	for _, l := range a.live {
		if l.chain == "" {
			continue
		}
		c := sum[l.chain]
		if c == nil {
			e := tracebuf.Ext{Stack: []byte(l.chain)}
			c = &Chain{}
			for i := range e.Depth() {
				c.Frames = append(c.Frames, e.Frame(i))
			}
			sum[l.chain] = c
		}
		c.Live++
		c.Bytes += l.size
	}
	var out []Chain
	for _, c := range sum {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(x, y Chain) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(y.Live, x.Live), slices.Compare(x.Frames, y.Frames))
	})
	return out
}

// Told reports whether a guest has tracepoints that tell of allocations.
func (a *Allocs) Told(g *stream.Guest) bool { return len(a.of(g).sizeArg) > 0 }

// Missing names the tracepoints that would tell more.
func (a *Allocs) Missing(g *stream.Guest) []string {
	r := a.of(g)
	var out []string
	if len(r.sizeArg) == 0 {
		out = append(out, "allocations: no tracepoints malloc (size) and malloc_ret (address)")
	}
	if len(r.frees) == 0 {
		out = append(out, "what is given back: no tracepoint free (address)")
	}
	return out
}
