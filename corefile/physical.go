package corefile

import (
	"context"
	"fmt"
	"io"
	"sort"

	"github.com/ukdbg/ukdbg/target"
)

// physical is the guest's memory by physical address.
type physical struct {
	r     io.ReaderAt
	loads []segment
	cut   bool
}

// find returns the segment addr is in, or the first one above it.
func (m *physical) find(addr uint64) int {
	return sort.Search(len(m.loads), func(i int) bool {
		s := m.loads[i]
		return s.phys+(s.mem-1) >= addr
	})
}

// ReadMemory reads physical memory. What the dump does not have is a hole.
func (m *physical) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	done := 0
	for done < len(p) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		at := addr + uint64(done)
		if at < addr {
			return done, &target.FaultError{Addr: at, Why: "beyond the end of the address space"}
		}
		i := m.find(at)
		if i == len(m.loads) || at < m.loads[i].phys {
			return done, &target.FaultError{Addr: at, Why: "no memory of the guest in the dump"}
		}
		s := m.loads[i]
		if !s.contains(at) {
			why := "left out of the dump"
			if m.cut {
				why = "the dump is cut off before it"
			}
			return done, &target.FaultError{Addr: at, Why: why}
		}
		off := at - s.phys
		n := int(min(uint64(len(p)-done), s.size-off))
		if err := readAt(m.r, p[done:done+n], s.offset+int64(off)); err != nil {
			return done, fmt.Errorf("%w at %#x: %w", errIO, s.offset+int64(off), err)
		}
		done += n
	}
	return done, nil
}
