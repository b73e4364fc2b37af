package main

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/kernel"
)

// ownerJSON is what an address belongs to: docs/json.md.
type ownerJSON struct {
	Address string          `json:"address"`
	Facts   []ownerFactJSON `json:"facts"`
	Notes   []string        `json:"notes,omitempty"`
}

type ownerFactJSON struct {
	Kind   string     `json:"kind"`
	Name   string     `json:"name,omitempty"`
	Text   string     `json:"text"`
	First  string     `json:"first,omitempty"`
	Last   string     `json:"last,omitempty"`
	Offset *uint64    `json:"offset,omitempty"`
	Block  *blockJSON `json:"block,omitempty"`
	Before *blockJSON `json:"before,omitempty"`
	Behind *blockJSON `json:"behind,omitempty"`
}

// blockJSON is a block of a heap.
type blockJSON struct {
	Address string `json:"address"`
	Size    uint64 `json:"size"`
	Use     string `json:"use"`
	Object  string `json:"object,omitempty"`
	Asked   uint64 `json:"asked,omitempty"`
	Joined  bool   `json:"joined,omitempty"`
}

func blockOf(b *kernel.Block) *blockJSON {
	if b == nil {
		return nil
	}
	j := &blockJSON{Address: fmt.Sprintf("%#x", b.Addr), Size: b.Size, Use: b.Use.String(), Asked: b.Asked, Joined: b.Joined}
	if b.Object != 0 {
		j.Object = fmt.Sprintf("%#x", b.Object)
	}
	return j
}

func ownerOf(o ukdbg.Owner) ownerJSON {
	j := ownerJSON{Address: fmt.Sprintf("%#x", o.Addr), Facts: []ownerFactJSON{}, Notes: o.Notes}
	for _, f := range o.Facts {
		out := ownerFactJSON{Kind: string(f.Kind), Name: f.Name, Text: f.Text, Block: blockOf(f.Block), Before: blockOf(f.Before), Behind: blockOf(f.Behind)}
		if f.First != 0 || f.Last != 0 {
			off := f.Offset(o.Addr)
			out.First, out.Offset = fmt.Sprintf("%#x", f.First), &off
			if f.Last != 0 {
				out.Last = fmt.Sprintf("%#x", f.Last)
			}
		}
		j.Facts = append(j.Facts, out)
	}
	return j
}

// owners tells what addresses belong to.
func owners(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session, words []string) error {
	out := struct {
		Owners []ownerJSON `json:"owners"`
	}{Owners: []ownerJSON{}}
	for _, word := range words {
		addr, err := s.Number(ctx, word, nil)
		if err != nil {
			return fmt.Errorf("--owner %s: %w", word, err)
		}
		o, err := s.Owner(ctx, addr)
		if err != nil {
			return fmt.Errorf("--owner %s: %w", word, err)
		}
		if flags.json {
			out.Owners = append(out.Owners, ownerOf(o))
		} else {
			ukdbg.WriteOwner(e.out, o)
		}
	}
	if flags.json {
		return printJSON(e, out)
	}
	return nil
}
