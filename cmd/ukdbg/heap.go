package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/kernel"
)

func newHeap(e env) *cobra.Command {
	var flags targetFlags
	var owner []string
	var diff bool
	var every time.Duration
	var rounds int
	cmd := &cobra.Command{
		Use:   "heap TARGET [TARGET] -e NAME.dbg",
		Short: "Show the guest's allocators: free, used, largest block, damage",
		Long: `heap shows the guest's allocators, what contradicts itself in them, and what
lies where it could have done the damage. FRAGMENTED is the share of the free
memory that is not in the largest block.
--owner tells what an address belongs to, in the heap or not.
--diff with two TARGETs (dumps of one guest, say) shows what grew from the first to
the second, --every D what grew from look to look, until ^C or -n looks.`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case every < 0 || rounds < 0:
				return usageError{errors.New("--every and -n must not be negative")}
			case diff && every > 0 || (diff || every > 0) && len(owner) > 0:
				return usageError{errors.New("--diff, --every and --owner exclude each other")}
			case diff && len(args) != 2:
				return usageError{errors.New("--diff wants two TARGETs: the earlier and the later look")}
			case !diff && len(args) != 1:
				return usageError{errors.New("want a TARGET, or two with --diff")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case diff:
				return heapDiff(cmd.Context(), e, &flags, args[0], args[1])
			case every > 0:
				return heapWatch(cmd.Context(), e, &flags, args[0], every, rounds)
			}
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				if len(owner) > 0 {
					return owners(ctx, e, &flags, s, owner)
				}
				return heap(ctx, e, &flags, s)
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().StringArrayVar(&owner, "owner", nil, "tell what this address or `EXPRESSION` belongs to (may be repeated)")
	cmd.Flags().BoolVar(&diff, "diff", false, "show what grew from the first TARGET to the second")
	cmd.Flags().DurationVar(&every, "every", 0, "look again after this `TIME` and show what grew")
	cmd.Flags().IntVarP(&rounds, "rounds", "n", 0, "with --every: end after so many `LOOKS` (0: at ^C)")
	return cmd
}

// allocatorJSON is one allocator: docs/json.md. Sizes are in bytes and null
// where they are not known.
type allocatorJSON struct {
	Address string   `json:"address"`
	Kind    string   `json:"kind"`
	Symbol  string   `json:"symbol,omitempty"`
	Parent  string   `json:"parent,omitempty"`
	Free    *uint64  `json:"free"`
	Used    *uint64  `json:"used"`
	Total   *uint64  `json:"total"`
	Largest *uint64  `json:"largest"`
	Frag    *float64 `json:"fragmentation"`
	Corrupt []string `json:"corrupt"`
	Damaged []string `json:"damaged,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

func allocatorOf(a *kernel.Allocator) allocatorJSON {
	j := allocatorJSON{
		Address: fmt.Sprintf("%#x", a.Addr), Kind: a.Kind, Symbol: a.Symbol,
		Corrupt: append([]string{}, a.Corrupt...), Notes: a.Notes,
	}
	if a.Parent != 0 {
		j.Parent = fmt.Sprintf("%#x", a.Parent)
	}
	if a.Known {
		j.Free, j.Used, j.Total, j.Largest = &a.Free, &a.Used, &a.Total, &a.Largest
	}
	if share, ok := a.Fragmentation(); ok {
		j.Frag = &share
	}
	for _, at := range a.Damaged {
		j.Damaged = append(j.Damaged, fmt.Sprintf("%#x", at))
	}
	return j
}

// suspectJSON is what may have damaged a heap.
type suspectJSON struct {
	Damaged string    `json:"damaged"`
	Text    []string  `json:"text"`
	Before  ownerJSON `json:"before"`
}

func heap(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session) error {
	h, err := s.Heap(ctx)
	if err != nil {
		return err
	}
	suspects, err := s.HeapSuspects(ctx, h)
	if err != nil {
		return err
	}
	if !flags.json {
		ukdbg.WriteHeap(e.out, h)
		ukdbg.WriteHeapSuspects(e.out, suspects)
		if s.TracesAllocations() {
			fmt.Fprintln(e.out, "next: `ukdbg profile heap TARGET` on the running guest shows live allocations by call chain")
		}
		return nil
	}
	out := struct {
		Allocators []allocatorJSON `json:"allocators"`
		Suspects   []suspectJSON   `json:"suspects,omitempty"`
		Notes      []string        `json:"notes,omitempty"`
	}{Allocators: []allocatorJSON{}, Notes: h.Notes}
	for i := range h.Allocators {
		out.Allocators = append(out.Allocators, allocatorOf(&h.Allocators[i]))
	}
	for i := range suspects {
		sus := &suspects[i]
		out.Suspects = append(out.Suspects, suspectJSON{fmt.Sprintf("%#x", sus.Damaged), sus.Text(), ownerOf(sus.Before)})
	}
	return printJSON(e, out)
}
