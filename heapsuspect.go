package ukdbg

import (
	"context"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

const (
	// maxSuspects bounds the damaged places of a heap that are looked around.
	maxSuspects = 4
	// belowStack is how far below a stack's lowest address damage may be of its
	// overflow: it grows downwards, and a frame may skip over some.
	belowStack = 4096
)

// HeapSuspect is a damaged place of a heap and what may have written there. It is
// inferred from where things lie.
type HeapSuspect struct {
	// Damaged is the header or list entry, Allocator the address of the allocator
	// it is of.
	Damaged, Allocator uint64
	// Before is what the byte before it belongs to: something written past its end
	// ends up in it.
	Before Owner
	// Itself is what the damaged place is in.
	Itself Owner
	// Above is the thread whose stack begins above it, nil if there is none near.
	Above *Thread
}

// HeapSuspects looks around the damaged places of a heap.
func (s *Session) HeapSuspects(ctx context.Context, h *kernel.Heap) ([]HeapSuspect, error) {
	var out []HeapSuspect
	var threads []Thread
	for i := range h.Allocators {
		a := &h.Allocators[i]
		for _, at := range a.Damaged {
			if len(out) == maxSuspects {
				return out, nil
			}
			if len(out) == 0 {
				threads, _ = s.Threads(ctx) // without them there is one way less to tell
			}
			sus := HeapSuspect{Damaged: at, Allocator: a.Addr}
			var err error
			if sus.Before, err = s.Owner(ctx, at-1); err != nil {
				return out, err
			}
			if sus.Itself, err = s.Owner(ctx, at); err != nil {
				return out, err
			}
			for j := range threads {
				if low := threads[j].Stack; low > at && low-at <= belowStack && (sus.Above == nil || low < sus.Above.Stack) {
					sus.Above = &threads[j]
				}
			}
			out = append(out, sus)
		}
	}
	return out, nil
}

// Text says it in sentences, the likeliest first.
func (s *HeapSuspect) Text() []string {
	out := []string{fmt.Sprintf("before the damage at %#x lies %s: likely what was written past its end (inferred)", s.Damaged, s.Before)}
	if s.Above != nil {
		out = append(out, fmt.Sprintf("the stack of %s begins %d bytes above %#x: it may have overflowed into it", threadName(*s.Above), s.Above.Stack-s.Damaged, s.Damaged))
	}
	if len(s.Itself.Facts) > 0 {
		if b := s.Itself.Facts[0].Block; b != nil && b.Use == kernel.BlockFree {
			out = append(out, fmt.Sprintf("%#x is in a free block: what had it before may have written to it after giving it back", s.Damaged))
		}
	}
	return out
}

// WriteHeapSuspects shows what may have damaged a heap.
func WriteHeapSuspects(w io.Writer, suspects []HeapSuspect) {
	for i := range suspects {
		for _, text := range suspects[i].Text() {
			fmt.Fprintf(w, "SUSPECT %s\n", escape(text))
		}
	}
}

// TracesAllocations tells whether the image has the tracepoints that a profile of
// live allocations by call chain is made of.
func (s *Session) TracesAllocations() bool {
	if s.kernel == nil {
		return false
	}
	g, err := traceGuest(s.image, s.opt.Image)
	return err == nil && len(analysis.NewAllocs().Missing(g)) == 0
}
