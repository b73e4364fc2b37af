package ukdbg

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/ukdbg/ukdbg/kernel"
)

// Heap lists the guest's allocators.
func (s *Session) Heap(ctx context.Context) (*kernel.Heap, error) {
	if s.kernel == nil {
		return nil, fmt.Errorf("heap: %s", s.noKernel)
	}
	var h *kernel.Heap
	err := s.settle(ctx, func() (err error) {
		h, err = s.kernel.Heap(ctx)
		return err
	})
	if err == nil && s.torn != "" {
		h.Notes = append(h.Notes, s.torn)
	}
	return h, err
}

// ConsoleRing returns what the guest's console ring still holds.
func (s *Session) ConsoleRing(ctx context.Context) ([]byte, error) {
	if s.kernel == nil {
		return nil, fmt.Errorf("console ring: %s", s.noKernel)
	}
	var text []byte
	err := s.settle(ctx, func() (err error) {
		text, err = s.kernel.Log(ctx)
		return err
	})
	return text, err
}

// WriteHeap shows allocators to people.
func WriteHeap(w io.Writer, h *kernel.Heap) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "ALLOCATOR\tADDRESS\tTOTAL\tUSED\tFREE\tLARGEST BLOCK\tFRAGMENTED\n")
	for i := range h.Allocators {
		a := &h.Allocators[i]
		if !a.Known {
			fmt.Fprintf(tw, "%s (%s)\t%#x\tnot known\t\t\t\t\n", a.Kind, escape(a.Symbol), a.Addr)
			continue
		}
		fmt.Fprintf(tw, "%s\t%#x\t%s\t%s\t%s\t%s\t%s\n", a.Kind, a.Addr, size(a.Total), size(a.Used), size(a.Free), size(a.Largest), fragmented(a))
	}
	if tw.Flush() != nil {
		return // the writer's owner sees it
	}
	for _, a := range h.Allocators {
		for _, c := range a.Corrupt {
			fmt.Fprintf(w, "CORRUPT %s at %#x: %s\n", a.Kind, a.Addr, escape(c))
		}
		if st := a.Stats; st != nil {
			fmt.Fprintf(w, "%s at %#x counts %d live allocations, %s in use, at most %s, %d failed\n",
				a.Kind, a.Addr, st.Live, size(uint64(max(0, st.InUse))), size(uint64(max(0, st.MaxInUse))), st.Failed)
		}
		for _, n := range a.Notes {
			fmt.Fprintf(w, "note: %s at %#x: %s\n", a.Kind, a.Addr, escape(n))
		}
	}
	for _, n := range h.Notes {
		fmt.Fprintf(w, "note: %s\n", escape(n))
	}
}

// SizeText shows a number of bytes to people.
func SizeText(n uint64) string { return size(n) }

func size(n uint64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 10<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
