package unwind

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/ukdbg/ukdbg/target"
)

// chunk is how much of the stack is read at once, in bytes: at most what every
// known stub gives in one packet.
const chunk = 1024

// stack reads memory in chunks and keeps a few. Words come mostly from rising
// addresses near the stack pointer.
type stack struct {
	ctx    context.Context
	mem    target.Memory
	chunks [4]struct {
		addr uint64
		n    int
		data [chunk]byte
	}
	next int
}

func (s *stack) reset(ctx context.Context, mem target.Memory) {
	s.ctx, s.mem, s.next = ctx, mem, 0
	for i := range s.chunks {
		s.chunks[i].n = 0
	}
}

// Mem reads a little-endian number of 1, 2, 4 or 8 bytes.
func (s *stack) Mem(addr uint64, size int) (uint64, error) {
	if addr+uint64(size-1) < addr {
		return 0, &target.FaultError{Addr: addr}
	}
	b, err := s.bytes(addr, size)
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), nil
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (s *stack) bytes(addr uint64, size int) ([]byte, error) {
	for i := range s.chunks {
		c := &s.chunks[i]
		if off := addr - c.addr; off < uint64(c.n) && uint64(c.n)-off >= uint64(size) {
			return c.data[off:][:size], nil
		}
	}
	c := &s.chunks[s.next%len(s.chunks)]
	s.next++
	// A chunk that runs into the next page may run into a hole: some sources
	// then give nothing at all. So read to the end of the page, beyond it only
	// for a number that lies across, and at last the number alone.
	page := min(chunk, 4096-int(addr%4096))
	var err error
	for _, n := range [3]int{page, chunk, size} {
		if n < size || addr+uint64(n-1) < addr {
			continue
		}
		c.addr = addr
		c.n, err = s.mem.ReadMemory(s.ctx, c.data[:n], addr)
		if c.n = min(max(c.n, 0), n); c.n >= size {
			return c.data[:size], nil
		}
		if errors.Is(err, target.ErrLost) || s.ctx.Err() != nil {
			break
		}
	}
	c.n = 0
	if err == nil {
		err = &target.FaultError{Addr: addr}
	}
	return nil, err
}
