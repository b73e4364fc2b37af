package ukdbg

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/ukdbg/ukdbg/kernel"
)

// HeapGrowth is how one allocator changed between two looks.
type HeapGrowth struct {
	// Before and After are the allocator in each look, nil where it is in one only.
	Before, After *kernel.Allocator
	// Known: Used, Free and Largest are the bytes they grew by.
	Known               bool
	Used, Free, Largest int64
	// Counted: the allocator counts its allocations, of which Live more are there.
	Counted bool
	Live    int64
}

// Allocator is the later look at it, or the only one.
func (g *HeapGrowth) Allocator() *kernel.Allocator {
	if g.After != nil {
		return g.After
	}
	return g.Before
}

// DiffHeap tells how allocators grew. They are the same by their address and
// kind.
func DiffHeap(before, after *kernel.Heap) []HeapGrowth {
	var out []HeapGrowth
	matched := map[int]bool{}
	for i := range after.Allocators {
		g := HeapGrowth{After: &after.Allocators[i]}
		a := g.After
		for j := range before.Allocators {
			if b := &before.Allocators[j]; !matched[j] && b.Addr == a.Addr && b.Kind == a.Kind {
				matched[j], g.Before = true, b
				break
			}
		}
		if b := g.Before; b != nil {
			if g.Known = a.Known && b.Known; g.Known {
				g.Used, g.Free, g.Largest = int64(a.Used-b.Used), int64(a.Free-b.Free), int64(a.Largest-b.Largest)
			}
			if g.Counted = a.Stats != nil && b.Stats != nil; g.Counted {
				g.Live = a.Stats.Live - b.Stats.Live
			}
		}
		out = append(out, g)
	}
	for j := range before.Allocators {
		if !matched[j] {
			out = append(out, HeapGrowth{Before: &before.Allocators[j]})
		}
	}
	return out
}

// WriteHeapDiff shows growth to people.
func WriteHeapDiff(w io.Writer, growth []HeapGrowth) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "ALLOCATOR\tADDRESS\tUSED\tGREW BY\tLARGEST BLOCK\tFRAGMENTED\tLIVE ALLOCATIONS\n")
	for i := range growth {
		g := &growth[i]
		a := g.Allocator()
		used, grew, largest, live := "not known", "", "", ""
		switch {
		case g.After == nil:
			used = "gone"
		case g.Before == nil:
			grew = "new"
		}
		if g.Known {
			grew, largest = signed(g.Used), fmt.Sprintf("%s (%s)", size(a.Largest), signed(g.Largest))
		}
		if g.After != nil && a.Known {
			used = size(a.Used)
		}
		if g.Counted {
			live = fmt.Sprintf("%d (%+d)", a.Stats.Live, g.Live)
		}
		fmt.Fprintf(tw, "%s\t%#x\t%s\t%s\t%s\t%s\t%s\n", a.Kind, a.Addr, used, grew, largest, fragmented(a), live)
	}
	if tw.Flush() != nil {
		return // the writer's owner sees it
	}
	for i := range growth {
		if a := growth[i].Allocator(); growth[i].After != nil {
			for _, c := range a.Corrupt {
				fmt.Fprintf(w, "CORRUPT %s at %#x: %s\n", a.Kind, a.Addr, escape(c))
			}
		}
	}
}

// signed shows a change of bytes: "+4096 B".
func signed(n int64) string {
	if n < 0 {
		return "-" + size(uint64(-n))
	}
	return "+" + size(uint64(n))
}

// fragmented shows how much of the free memory is not in the largest block.
func fragmented(a *kernel.Allocator) string {
	share, ok := a.Fragmentation()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}
