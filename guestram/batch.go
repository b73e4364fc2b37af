//go:build linux

package guestram

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/target"
)

// maxVec is IOV_MAX of Linux; maxBatch bounds the bytes of one call, so that a
// context is heard in time.
const (
	maxVec   = 1024
	maxBatch = 64 << 20
)

// batch gathers reads of the process's own memory.
type batch struct {
	pid   int
	local []unix.Iovec
	far   []unix.RemoteIovec
	of    []part
}

// part says which range an iovec belongs to and where in it.
type part struct {
	g  *target.Range
	at int
	n  int
}

// clear lets go of what was read, and of all that a rare, large read took.
func (b *batch) clear() {
	if cap(b.of) > 4*maxVec {
		*b = batch{}
		return
	}
	clear(b.local)
	clear(b.of)
	b.local, b.far, b.of = b.local[:0], b.far[:0], b.of[:0]
}

func (b *batch) add(g *target.Range, at, n int, host uint64) {
	v := unix.Iovec{Base: &g.Data[at]}
	v.SetLen(n)
	b.local = append(b.local, v)
	b.far = append(b.far, unix.RemoteIovec{Base: uintptr(host), Len: n})
	b.of = append(b.of, part{g, at, n})
}

// run reads all that was gathered. A range whose page went away meanwhile ends
// there; what comes after is read all the same.
func (b *batch) run(ctx context.Context, p *Process) error {
	local, far, of := b.local, b.far, b.of
	for len(of) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, size := 1, of[0].n
		for k < len(of) && k < maxVec && size+of[k].n <= maxBatch {
			size += of[k].n
			k++
		}
		n, err := unix.ProcessVMReadv(b.pid, local[:k], far[:k], 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EFAULT):
			n = 0
		case errors.Is(err, unix.ESRCH):
			return lostError{fmt.Errorf("process %d: %w", p.pid, ErrVanished)}
		case err != nil:
			return p.denied("its memory", err)
		}
		done := 0
		for done < k && n >= of[done].n {
			n -= of[done].n
			done++
		}
		if done < k {
			// This one stopped early: what was read stands, its end is a hole.
			pt := of[done]
			if end := pt.at + n; end < pt.g.N {
				pt.g.N, pt.g.Err = end, &target.FaultError{Addr: pt.g.Addr + uint64(end), Why: whyUnmapped}
			}
			done++
		}
		local, far, of = local[done:], far[done:], of[done:]
	}
	return nil
}
