package perfevent

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Offsets in struct perf_event_mmap_page, the first page of what is mapped.
const (
	offHead    = 1024 // where the kernel writes next, in bytes since the start
	offTail    = 1032 // where we read next, likewise
	offOffset  = 1040 // where the data begins
	offSize    = 1048 // how long it is, a power of two
	controlEnd = 1056
)

// maxRing bounds the data of a ring, in bytes.
const maxRing = 64 << 20

// errRing says that the memory is no ring.
var errRing = errors.New("not a ring of perf_event_open")

// ring reads what the kernel writes. What it holds is believed as far as it makes
// sense: a record that does not is counted, and all that is there is passed over.
type ring struct {
	head, tail *atomic.Uint64 // in the shared memory
	data       []byte
	at         uint64 // the tail as we know it: what is shared could be changed
	buf        []byte // a record that wraps around the end
}

// newRing finds the ring in mem, which must be aligned to a page and stay there.
func newRing(mem []byte) (*ring, error) {
	if len(mem) < controlEnd {
		return nil, fmt.Errorf("%w: %d bytes", errRing, len(mem))
	}
	word := func(off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&mem[off])) }
	offset, size := word(offOffset).Load(), word(offSize).Load()
	switch {
	case offset < controlEnd || offset > uint64(len(mem)) || size > uint64(len(mem))-offset:
		return nil, fmt.Errorf("%w: data at %d, %d bytes, in %d", errRing, offset, size, len(mem))
	case size == 0 || size&(size-1) != 0 || size > maxRing:
		return nil, fmt.Errorf("%w: %d bytes of data", errRing, size)
	}
	return &ring{head: word(offHead), tail: word(offTail), data: mem[offset:][:size], at: word(offTail).Load()}, nil
}

// read gives each new sample to f, and tells the kernel that there is room again.
func (r *ring) read(f func(Sample)) (l Losses) {
	head := r.head.Load() // what was written before it is seen after it
	size := uint64(len(r.data))
	if head-r.at > size {
		// The kernel never writes over what was not read.
		l.Torn++
		r.at = head
	}
	for head-r.at >= headerSize {
		h := parseHeader(r.bytes(headerSize))
		if h.size < headerSize || h.size%8 != 0 || uint64(h.size) > head-r.at {
			l.Torn++
			break
		}
		s, ok, lost := h.parse(r.bytes(int(h.size))[headerSize:])
		l.add(lost)
		if ok {
			f(s)
		}
		r.at += uint64(h.size)
	}
	r.at = head
	r.tail.Store(head)
	return l
}

// bytes are the next n bytes, at most all there are; until the next call.
func (r *ring) bytes(n int) []byte {
	off := int(r.at % uint64(len(r.data)))
	n = min(n, len(r.data))
	if off+n <= len(r.data) {
		return r.data[off : off+n]
	}
	r.buf = append(append(r.buf[:0], r.data[off:]...), r.data[:n-(len(r.data)-off)]...)
	return r.buf
}
