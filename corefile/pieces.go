package corefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/ukdbg/ukdbg/target"
)

// segment is a range of memory in the file.
type segment struct {
	addr, size uint64 // size is what the file has
	mem        uint64 // size in the guest's memory
	offset     int64
	why        string // why the rest of mem is not in the file, "" for the usual
}

func (s segment) contains(addr uint64) bool { return addr-s.addr < s.size }

// pieces is memory that lies in a file in one piece or several, by address and
// without overlaps.
type pieces struct {
	r   io.ReaderAt
	all []segment
	// hole says why there is nothing between pieces.
	hole string
	// leftOut: what is not there was left out on purpose.
	leftOut bool
}

const (
	noMemory = "no memory of the guest in the dump"
	leftOut  = "left out of the dump"
	cutOff   = "the dump is cut off before it"
)

// find returns the piece addr is in, or the first one above it.
func (m *pieces) find(addr uint64) int {
	return sort.Search(len(m.all), func(i int) bool {
		s := m.all[i]
		return s.addr+(s.mem-1) >= addr
	})
}

// ReadMemory reads memory. What the dump does not have is a hole; a file that
// grows is read as far as it is by then.
func (m *pieces) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
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
		if i == len(m.all) || at < m.all[i].addr {
			return done, &target.FaultError{Addr: at, Why: m.hole, LeftOut: m.leftOut}
		}
		s := m.all[i]
		if !s.contains(at) {
			why := s.why
			if why == "" {
				why = leftOut
			}
			return done, &target.FaultError{Addr: at, Why: why}
		}
		off := at - s.addr
		n := int(min(uint64(len(p)-done), s.size-off))
		got, err := m.r.ReadAt(p[done:done+n], s.offset+int64(off))
		done += got
		if got == n {
			continue
		}
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return done, &target.FaultError{Addr: at + uint64(got), Why: cutOff}
		}
		return done, fmt.Errorf("%w at %#x: %w", errIO, s.offset+int64(off), err)
	}
	return done, nil
}

// untangle sorts segments and trims what an earlier one holds already, so that
// each address is in one segment at most. QEMU writes overlaps with paging=on,
// where one page may be mapped twice.
func untangle(all []segment) []segment {
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].addr != all[j].addr {
			return all[i].addr < all[j].addr
		}
		return all[i].size > all[j].size
	})
	var out []segment
	var last uint64 // last address held
	for _, s := range all {
		if len(out) > 0 && s.addr <= last {
			skip := last - s.addr + 1
			if skip == 0 || skip >= s.mem {
				continue
			}
			s.addr += skip
			s.mem -= skip
			if skip >= s.size {
				s.size = 0
			} else {
				s.size -= skip
				s.offset += int64(skip)
			}
		}
		last = s.addr + (s.mem - 1)
		out = append(out, s)
	}
	return out
}

// readAt reads all of p or fails.
func readAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
