package corefile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
)

// kdump is physical memory in a kdump file. Each page is found and unpacked when
// it is asked for; a bounded number of them is kept.
type kdump struct {
	r         io.ReaderAt
	block     uint64 // bytes of a page
	frames    uint64 // number of page frames
	exists    int64  // offset of the bitmap of frames that exist
	descs     int64  // offset of the first descriptor
	onlyZeros bool   // only zero pages were left out
	// dumped has a bit for each frame that is in the dump, and rank counts those
	// before each group of rankGroup bytes.
	dumped []byte
	rank   []uint64

	mu    sync.Mutex
	cache map[uint64][]byte
	order []uint64 // frames in the cache, oldest at next
	next  int
	un    unpackers
}

const (
	rankGroup = 512
	// keptPages is how many bytes of unpacked pages are kept.
	keptPages = 8 << 20
)

// readBitmap reads the bitmap of what is in the dump. It reports whether all of
// it was there.
func (k *kdump) readBitmap(at int64, size uint64) (whole bool) {
	// Read in steps: the size is what the file says, not what it has.
	const step = 1 << 20
	whole = true
	for size > 0 && whole {
		buf := make([]byte, min(size, step))
		n, _ := k.r.ReadAt(buf, at)
		whole = n == len(buf)
		k.dumped = append(k.dumped, buf[:n]...)
		at += int64(n)
		size -= uint64(n)
	}
	count := uint64(0)
	for i := 0; i < len(k.dumped); i += rankGroup {
		k.rank = append(k.rank, count)
		count += ones(k.dumped[i:min(i+rankGroup, len(k.dumped))])
	}
	k.rank = append(k.rank, count)
	return whole
}

func ones(b []byte) (n uint64) {
	for ; len(b) >= 8; b = b[8:] {
		n += uint64(bits.OnesCount64(binary.LittleEndian.Uint64(b)))
	}
	for _, c := range b {
		n += uint64(bits.OnesCount8(c))
	}
	return n
}

// pages counts the pages in the dump.
func (k *kdump) pages() uint64 { return k.rank[len(k.rank)-1] }

// maxExtents bounds the pieces of memory that are told.
const maxExtents = 1 << 16

// extents are the runs of pages that can be read, nil if there are too many.
func (k *kdump) extents() (out []dumpfile.Extent) {
	readable := k.dumped
	if k.onlyZeros {
		// What exists and is not in the dump is zero.
		all := make([]byte, len(k.dumped))
		if readAt(k.r, all, k.exists) == nil {
			readable = all
		}
	}
	for i, b := range readable {
		for bit := range uint64(8) {
			frame := uint64(i)*8 + bit
			if b == 0 || frame >= k.frames {
				break
			}
			if b&(1<<bit) == 0 {
				continue
			}
			at := frame * k.block
			if n := len(out); n > 0 && out[n-1].Phys+out[n-1].Size == at {
				out[n-1].Size += k.block
				continue
			}
			if len(out) == maxExtents {
				return nil
			}
			out = append(out, dumpfile.Extent{Phys: at, Size: k.block})
		}
	}
	return out
}

// index is the number of a frame's descriptor.
func (k *kdump) index(frame uint64) (n uint64, ok bool) {
	at := frame / 8
	if at >= uint64(len(k.dumped)) || k.dumped[at]&(1<<(frame%8)) == 0 {
		return 0, false
	}
	group := at / rankGroup
	n = k.rank[group] + ones(k.dumped[group*rankGroup:at])
	return n + uint64(bits.OnesCount8(k.dumped[at]&(1<<(frame%8)-1))), true
}

// ReadMemory reads physical memory.
func (k *kdump) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	done := 0
	for done < len(p) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		at := addr + uint64(done)
		if at < addr {
			return done, &target.FaultError{Addr: at, Why: "beyond the end of the address space"}
		}
		n := int(min(uint64(len(p)-done), k.block-at%k.block))
		why, err := k.page(p[done:done+n], at/k.block, at%k.block)
		if err != nil {
			return done, err
		}
		if why != "" {
			return done, &target.FaultError{Addr: at, Why: why}
		}
		done += n
	}
	return done, nil
}

// page reads part of a page. why is the reason it cannot be had.
func (k *kdump) page(dst []byte, frame, off uint64) (why string, err error) {
	if frame >= k.frames {
		return noMemory, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if page, ok := k.cache[frame]; ok {
		copy(dst, page[off:])
		return "", nil
	}
	n, ok := k.index(frame)
	if !ok {
		var b [1]byte
		_, err := k.r.ReadAt(b[:], k.exists+int64(frame/8))
		switch {
		case err != nil || b[0]&(1<<(frame%8)) == 0:
			return noMemory, nil
		case k.onlyZeros:
			clear(dst)
			return "", nil
		}
		return leftOut, nil
	}
	page, why, err := k.load(n)
	if page != nil {
		k.keep(frame, page)
		copy(dst, page[off:])
	}
	return why, err
}

// keep puts a page into the cache, in the place of the oldest.
func (k *kdump) keep(frame uint64, page []byte) {
	if k.cache == nil {
		k.cache = map[uint64][]byte{}
	}
	if len(k.order) < int(keptPages/k.block) {
		k.order = append(k.order, frame)
	} else {
		delete(k.cache, k.order[k.next])
		k.order[k.next] = frame
		k.next = (k.next + 1) % len(k.order)
	}
	k.cache[frame] = page
}

// load reads and unpacks the page of a descriptor.
func (k *kdump) load(n uint64) (page []byte, why string, err error) {
	le := binary.LittleEndian
	var d [kdDesc]byte
	if why, err := k.read(d[:], k.descs+int64(n)*kdDesc); why != "" || err != nil {
		return nil, why, err
	}
	offset, size, flags := int64(le.Uint64(d[:])), uint64(le.Uint32(d[8:])), le.Uint32(d[12:])
	if size == 0 || size > 2*k.block || offset < 0 {
		return nil, fmt.Sprintf("its descriptor in the dump is malformed (%d bytes at %#x)", size, offset), nil
	}
	raw := make([]byte, size)
	if why, err := k.read(raw, offset); why != "" || err != nil {
		return nil, why, err
	}
	page, err = k.un.page(flags, raw, int(k.block))
	if err != nil {
		return nil, fmt.Sprintf("its page in the dump is damaged: %v", err), nil
	}
	return page, "", nil
}

// read reads from the file; a file that ends is a hole.
func (k *kdump) read(p []byte, off int64) (why string, err error) {
	switch err := readAt(k.r, p, off); {
	case err == nil:
		return "", nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return cutOff, nil
	default:
		return "", fmt.Errorf("%w at %#x: %w", errIO, off, err)
	}
}
