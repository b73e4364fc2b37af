package ukdbg

import (
	"context"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
)

// walkedWarning is what a heap profile of a walk carries.
const walkedWarning = "walked: what the allocators' own structures say; who allocated it is told by trace records with backtraces (uktrace's)"

// HeapProfile is what each allocator has given out, by its own structures: an
// allocator that takes its memory from another is called from it, as it were. It
// says less than allocations' trace records, and needs none.
func (s *Session) HeapProfile(ctx context.Context) (*profiler.Profile, error) {
	h, err := s.Heap(ctx)
	if err != nil {
		return nil, err
	}
	p := &profiler.Profile{Kind: profiler.Heap, Start: time.Now(), Warnings: append([]string{walkedWarning}, h.Notes...)}
	names, parents, below := map[uint64]string{}, map[uint64]uint64{}, map[uint64]uint64{}
	for _, a := range h.Allocators {
		names[a.Addr] = fmt.Sprintf("[%s allocator at %#x]", a.Kind, a.Addr)
		parents[a.Addr] = a.Parent
		below[a.Parent] += a.Total
	}
	for _, a := range h.Allocators {
		if !a.Known {
			p.Warnings = append(p.Warnings, names[a.Addr]+": its use is not known")
			continue
		}
		// What its children have of it is theirs.
		sample := profiler.Sample{CPU: profiler.NoCPU, Count: 1, Value: int64(a.Used - min(below[a.Addr], a.Used))}
		for at, depth := a.Addr, 0; names[at] != "" && depth < len(names); at, depth = parents[at], depth+1 {
			sample.Stack = append(sample.Stack, profiler.Frame{Function: names[at]})
		}
		p.Samples = append(p.Samples, sample)
	}
	return p, nil
}
