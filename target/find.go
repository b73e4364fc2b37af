package target

import (
	"bytes"
	"context"
	"errors"
)

// Find calls found for each place in [addr, addr+length) where pattern lies,
// in order, until found returns false. Holes are passed over page by page; a
// search that could read nothing at all is an error.
func Find(ctx context.Context, m Memory, addr, length uint64, pattern []byte, found func(addr uint64) bool) error {
	const chunk, page = 64 << 10, 4096
	if len(pattern) == 0 || len(pattern) > chunk {
		return errors.New("find: the pattern has no bytes, or too many")
	}
	buf := make([]byte, chunk+len(pattern)-1)
	var hole error
	any := false
	for length > 0 {
		n := int(min(length, uint64(len(buf))))
		got, err := m.ReadMemory(ctx, buf[:n], addr)
		if errors.Is(err, ErrLost) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		any = any || got > 0
		for at := 0; ; at++ {
			i := bytes.Index(buf[at:got], pattern)
			if i < 0 {
				break
			}
			at += i
			if !found(addr + uint64(at)) {
				return nil
			}
		}
		// The next chunk overlaps by what a match could straddle.
		step := uint64(n)
		if got == n && step > uint64(len(pattern)-1) && uint64(n) < length {
			step -= uint64(len(pattern) - 1)
		}
		if got < n {
			hole = err
			next := (addr + uint64(got)) &^ (page - 1)
			step = next + page - addr
		}
		if step >= length {
			break
		}
		addr, length = addr+step, length-step
	}
	if !any {
		if hole == nil {
			hole = &FaultError{Addr: addr}
		}
		return hole
	}
	return nil
}
