package recording

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reader reads the blocks of a recording in order, from a file or a pipe.
type Reader struct {
	in     *bufio.Reader
	offset int64
	stored []byte
}

// readAhead is the buffer between the input and the blocks, in bytes.
const readAhead = 64 << 10

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, readAhead)} }

// Is reports whether a file that begins with these bytes is a recording.
func Is(begin []byte) bool {
	return len(begin) >= 5 && binary.LittleEndian.Uint32(begin) == blockMagic
}

// Next returns the next block. It is valid until the one after it is asked for.
// What is no block comes as a KindBad up to the next good one. The error is
// io.EOF at the end, else the input's.
func (r *Reader) Next() (Block, error) {
	start := r.offset
	reason := ""
	for {
		b, why, err := r.try()
		switch {
		case err != nil:
			return Block{}, err
		case why == "" && b.Kind != KindBad:
			if reason == "" {
				b.Offset = start
				r.take(int(b.Size))
				return b, nil
			}
			return Block{Kind: KindBad, Offset: start, Size: r.offset - start, Reason: reason}, nil
		case why == "":
			if reason == "" && r.offset == start {
				return Block{}, io.EOF
			}
			return Block{Kind: KindBad, Offset: start, Size: r.offset - start, Reason: reason, Cut: true}, nil
		}
		if reason == "" {
			reason = why
		}
		if err := r.resync(); err != nil {
			return Block{}, err
		}
	}
}

// take passes n bytes that Peek has shown.
func (r *Reader) take(n int) {
	// What is too long for the buffer was read in full by body.
	if n <= r.in.Buffered() {
		if _, err := r.in.Discard(n); err != nil {
			panic(err) // they are buffered
		}
	}
	r.offset += int64(n)
}

// try looks at what lies at the current position and consumes nothing of it,
// except where the block is whole. A zero Block without a reason is the end.
func (r *Reader) try() (b Block, reason string, err error) {
	head, err := r.in.Peek(headerBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return b, "", fmt.Errorf("reading the recording at offset %#x: %w", r.offset, err)
	}
	if len(head) == 0 {
		return b, "", nil
	}
	if len(head) < headerBytes {
		return b, "cut off inside a block's header", nil
	}
	stored, sum, reason := parseHeader(head, &b)
	if reason != "" {
		return Block{}, reason, nil
	}
	b.Size = headerBytes + int64(stored)
	body, reason, err := r.body(int(stored))
	if reason != "" || err != nil {
		return Block{}, reason, err
	}
	if checksum(body) != sum {
		return Block{}, "the checksum of the block is wrong", nil
	}
	b.stored = body
	return b, "", nil
}

// body shows the n bytes after the header without consuming anything.
func (r *Reader) body(n int) ([]byte, string, error) {
	if headerBytes+n > r.in.Size() {
		// Larger than what can be shown. Ours fit into the first enlargement;
		// the second is the format's bound.
		size := 2 * blockBytes
		if headerBytes+n > size {
			size = headerBytes + MaxBody + dataBytes
		}
		r.in = bufio.NewReaderSize(r.in, size)
	}
	all, err := r.in.Peek(headerBytes + n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("reading the recording at offset %#x: %w", r.offset, err)
	}
	if len(all) < headerBytes+n {
		return nil, "cut off inside a block", nil
	}
	r.stored = append(r.stored[:0], all[headerBytes:]...)
	return r.stored, "", nil
}

// resync passes at least one byte and stops where a header may start.
func (r *Reader) resync() error {
	for first := true; ; first = false {
		b, err := r.in.Peek(min(max(r.in.Buffered(), headerBytes), r.in.Size()))
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the recording at offset %#x: %w", r.offset, err)
		}
		if len(b) == 0 {
			return nil
		}
		skip := 0
		if first {
			skip = 1
		}
		i := bytes.Index(b[skip:], []byte("UKtb"))
		if i >= 0 {
			r.take(skip + i)
			return nil
		}
		// The magic number may begin in the last three bytes.
		n := len(b)
		if err == nil {
			n = max(skip, n-3)
		}
		r.take(n)
	}
}
