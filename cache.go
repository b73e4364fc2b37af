package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// blockSize is the unit of the read cache in bytes: what fits the largest packet
// of QEMU's stub, which costs it little more than a word does. A stack or a
// thread structure mostly lies in one.
const blockSize = 2048

// maxBlocks bounds the cache to 16 MiB between two epochs.
const maxBlocks = 8 << 10

// memory is a guest's memory as a session reads it: remembered until forgotten.
type memory interface {
	target.Memory
	target.ManyReader
	forget()
}

// cache is a Memory that remembers what it read until the guest may have
// changed. Ranges longer than a few blocks pass through.
type cache struct {
	mem    target.Memory
	blocks map[uint64][]byte // by address/blockSize; a short block ends in a hole
}

func newCache(mem target.Memory) *cache {
	return &cache{mem: mem, blocks: map[uint64][]byte{}}
}

// forget drops everything, because the guest ran or was written.
func (c *cache) forget() { clear(c.blocks) }

// fits reports whether a range is small enough to go through the cache and
// does not wrap at the top of the address space.
func fits(addr uint64, n int) bool {
	return n > 0 && n <= 8*blockSize && addr+uint64(n-1) >= addr
}

func (c *cache) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	r := []target.Range{{Addr: addr, Data: p}}
	err := c.ReadMany(ctx, r)
	if err == nil {
		err = r[0].Err
	}
	return r[0].N, err
}

func (c *cache) ReadMany(ctx context.Context, ranges []target.Range) error {
	if len(c.blocks) > maxBlocks {
		c.forget()
	}
	var want []target.Range // missing blocks, then ranges that pass through
	asked := map[uint64]bool{}
	for _, r := range ranges {
		if !fits(r.Addr, len(r.Data)) {
			continue
		}
		for b := r.Addr / blockSize; b <= (r.Addr+uint64(len(r.Data)-1))/blockSize; b++ {
			if _, ok := c.blocks[b]; !ok && !asked[b] {
				asked[b] = true
				want = append(want, target.Range{Addr: b * blockSize, Data: make([]byte, blockSize)})
			}
		}
	}
	missing := len(want)
	for _, r := range ranges {
		if !fits(r.Addr, len(r.Data)) {
			want = append(want, target.Range{Addr: r.Addr, Data: r.Data})
		}
	}
	if len(want) > 0 {
		if err := target.ReadMany(ctx, c.mem, want); err != nil {
			return err
		}
	}
	for _, w := range want[:missing] {
		c.blocks[w.Addr/blockSize] = w.Data[:w.N]
	}
	passed := want[missing:]
	for i := range ranges {
		r := &ranges[i]
		if fits(r.Addr, len(r.Data)) {
			r.N, r.Err = c.copyOut(ctx, r.Data, r.Addr)
			continue
		}
		r.N, r.Err = passed[0].N, passed[0].Err
		passed = passed[1:]
	}
	return nil
}

// copyOut fills p from the blocks. A block that begins in a hole may still have
// readable bytes further on, so what is missing is asked for exactly.
func (c *cache) copyOut(ctx context.Context, p []byte, addr uint64) (int, error) {
	n := 0
	for n < len(p) {
		at := addr + uint64(n)
		block, off := c.blocks[at/blockSize], int(at%blockSize)
		if off >= len(block) {
			end := min(len(p), n+blockSize-off)
			got, err := c.mem.ReadMemory(ctx, p[n:end], at)
			n += got
			if n < end {
				if err == nil {
					err = &target.FaultError{Addr: addr + uint64(n)}
				}
				return n, err
			}
			continue
		}
		n += copy(p[n:], block[off:])
	}
	return n, nil
}
