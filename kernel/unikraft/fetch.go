package unikraft

import (
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// fetcher gathers reads into batches. A decoder asks with get; what is not
// there yet is queued and comes with the next run. So independent walks share
// round trips over a slow link.
type fetcher struct {
	mem     target.Memory
	done    map[span]*target.Range
	pending []target.Range
	trips   int
}

type span struct {
	addr uint64
	size int
}

func newFetcher(mem target.Memory) *fetcher {
	return &fetcher{mem: mem, done: map[span]*target.Range{}}
}

// get returns the bytes at addr. ok is false while they are not read yet; the
// error says that they cannot be.
func (f *fetcher) get(addr uint64, size int) (b []byte, ok bool, err error) {
	r, known := f.done[span{addr, size}]
	if !known {
		f.want(addr, size)
		return nil, false, nil
	}
	if r == nil {
		return nil, false, nil
	}
	if r.N < len(r.Data) {
		if r.Err != nil {
			return nil, true, r.Err
		}
		return nil, true, &target.FaultError{Addr: addr + uint64(r.N)}
	}
	return r.Data, true, nil
}

// want queues a read.
func (f *fetcher) want(addr uint64, size int) {
	s := span{addr, size}
	if _, known := f.done[s]; known {
		return
	}
	f.done[s] = nil
	f.pending = append(f.pending, target.Range{Addr: addr, Data: make([]byte, size)})
}

// run does the queued reads in one batch. It reports false if there were none.
// The error is that of the link.
func (f *fetcher) run(ctx context.Context) (bool, error) {
	if len(f.pending) == 0 {
		return false, nil
	}
	f.trips++
	if err := target.ReadMany(ctx, f.mem, f.pending); err != nil {
		return false, err
	}
	for i := range f.pending {
		r := &f.pending[i]
		f.done[span{r.Addr, len(r.Data)}] = r
	}
	f.pending = nil
	return true, nil
}
