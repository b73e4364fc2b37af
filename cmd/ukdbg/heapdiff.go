package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/kernel"
)

// heapLook opens a target, looks at its heap and leaves.
func heapLook(ctx context.Context, e env, flags *targetFlags, name string) (h *kernel.Heap, err error) {
	err = once(ctx, e, flags, name, func(ctx context.Context, s *ukdbg.Session) error {
		h, err = s.Heap(ctx)
		return err
	})
	return h, err
}

func heapDiff(ctx context.Context, e env, flags *targetFlags, earlier, later string) error {
	before, err := heapLook(ctx, e, flags, earlier)
	if err != nil {
		return fmt.Errorf("%s: %w", earlier, err)
	}
	after, err := heapLook(ctx, e, flags, later)
	if err != nil {
		return fmt.Errorf("%s: %w", later, err)
	}
	return printGrowth(e, flags, ukdbg.DiffHeap(before, after))
}

// heapWatch looks again and again; the guest runs in between as it was found.
func heapWatch(ctx context.Context, e env, flags *targetFlags, name string, every time.Duration, rounds int) error {
	before, err := heapLook(ctx, e, flags, name)
	if err != nil {
		return err
	}
	for n := 0; rounds == 0 || n < rounds; n++ {
		if !pauseFor(ctx, every) {
			return nil
		}
		after, err := heapLook(ctx, e, flags, name)
		if err != nil {
			return err
		}
		if err := printGrowth(e, flags, ukdbg.DiffHeap(before, after)); err != nil {
			return err
		}
		before = after
	}
	return nil
}

// pauseFor waits; false if somebody ends the watching meanwhile.
func pauseFor(ctx context.Context, d time.Duration) bool {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// growthJSON is how an allocator grew: docs/json.md. What is not known is null.
type growthJSON struct {
	Address string   `json:"address"`
	Kind    string   `json:"kind"`
	State   string   `json:"state"`
	Used    *uint64  `json:"used"`
	Grown   *int64   `json:"grown"`
	Free    *int64   `json:"free_grown"`
	Largest *int64   `json:"largest_grown"`
	Live    *int64   `json:"live_grown"`
	Frag    *float64 `json:"fragmentation"`
	Corrupt []string `json:"corrupt"`
}

func printGrowth(e env, flags *targetFlags, growth []ukdbg.HeapGrowth) error {
	if !flags.json {
		ukdbg.WriteHeapDiff(e.out, growth)
		return nil
	}
	out := struct {
		Growth []growthJSON `json:"growth"`
	}{Growth: []growthJSON{}}
	for i := range growth {
		g := &growth[i]
		a := allocatorOf(g.Allocator())
		j := growthJSON{Address: a.Address, Kind: a.Kind, State: "same", Used: a.Used, Frag: a.Frag, Corrupt: a.Corrupt}
		switch {
		case g.Before == nil:
			j.State = "new"
		case g.After == nil:
			j.State = "gone"
		}
		if g.Known {
			j.Grown, j.Free, j.Largest = &g.Used, &g.Free, &g.Largest
		}
		if g.Counted {
			j.Live = &g.Live
		}
		out.Growth = append(out.Growth, j)
	}
	return printJSON(e, out)
}
