package ukdbg

import (
	"context"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// stretch is a range of addresses, last included.
type stretch struct{ first, last uint64 }

// witness is memory that remembers which ranges were read from it, exactly: what
// a dump must hold for the same reading to work on it.
type witness struct {
	memory
	read []stretch
}

// maxRecorded is how many ranges are gathered before they are merged.
const maxRecorded = 64 << 10

func (r *witness) note(addr uint64, n int) {
	if n <= 0 {
		return
	}
	if len(r.read) >= maxRecorded {
		if r.read = mergeStretches(r.read); len(r.read) > maxRecorded/2 {
			r.read = slices.Grow(r.read, maxRecorded)
		}
	}
	r.read = append(r.read, stretch{addr, addr + uint64(n-1)})
}

func (r *witness) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	n, err := r.memory.ReadMemory(ctx, p, addr)
	r.note(addr, n)
	return n, err
}

func (r *witness) ReadMany(ctx context.Context, ranges []target.Range) error {
	err := r.memory.ReadMany(ctx, ranges)
	for _, g := range ranges {
		r.note(g.Addr, g.N)
	}
	return err
}

// mergeStretches sorts ranges and joins those that touch.
func mergeStretches(all []stretch) []stretch {
	slices.SortFunc(all, func(a, b stretch) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && (s.first <= out[n-1].last || s.first == out[n-1].last+1) {
			out[n-1].last = max(out[n-1].last, s.last)
			continue
		}
		out = append(out, s)
	}
	return out
}

// without removes ranges from ranges; both are merged.
func without(from, cut []stretch) []stretch {
	var out []stretch
	i := 0
	for _, s := range from {
		for i < len(cut) && cut[i].last < s.first {
			i++
		}
		at, gone := s.first, false
		for k := i; k < len(cut) && cut[k].first <= s.last; k++ {
			if cut[k].first > at {
				out = append(out, stretch{at, cut[k].first - 1})
			}
			if cut[k].last >= s.last {
				gone = true
				break
			}
			at = cut[k].last + 1
		}
		if !gone {
			out = append(out, stretch{at, s.last})
		}
	}
	return out
}
