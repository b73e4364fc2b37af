package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newHeap(e env) *cobra.Command {
	var flags targetFlags
	var owner []string
	cmd := &cobra.Command{
		Use:   "heap TARGET -e NAME.dbg",
		Short: "Show the guest's allocators: free, used, largest block",
		Long: `heap shows the guest's allocators, and what contradicts itself in them.
--owner tells what an address belongs to, in the heap or not.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
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
	return cmd
}

// allocatorJSON is one allocator: docs/json.md. Sizes are in bytes and null
// where they are not known.
type allocatorJSON struct {
	Address string   `json:"address"`
	Kind    string   `json:"kind"`
	Symbol  string   `json:"symbol,omitempty"`
	Free    *uint64  `json:"free"`
	Used    *uint64  `json:"used"`
	Total   *uint64  `json:"total"`
	Largest *uint64  `json:"largest"`
	Corrupt []string `json:"corrupt"`
	Notes   []string `json:"notes,omitempty"`
}

func heap(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session) error {
	h, err := s.Heap(ctx)
	if err != nil {
		return err
	}
	if !flags.json {
		ukdbg.WriteHeap(e.out, h)
		return nil
	}
	out := struct {
		Allocators []allocatorJSON `json:"allocators"`
		Notes      []string        `json:"notes,omitempty"`
	}{Allocators: []allocatorJSON{}, Notes: h.Notes}
	for _, a := range h.Allocators {
		j := allocatorJSON{
			Address: fmt.Sprintf("%#x", a.Addr), Kind: a.Kind, Symbol: a.Symbol,
			Corrupt: append([]string{}, a.Corrupt...), Notes: a.Notes,
		}
		if a.Known {
			j.Free, j.Used, j.Total, j.Largest = &a.Free, &a.Used, &a.Total, &a.Largest
		}
		out.Allocators = append(out.Allocators, j)
	}
	return printJSON(e, out)
}
