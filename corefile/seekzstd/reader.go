package seekzstd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// MaxFrame is the most bytes one frame may unpack to.
	MaxFrame = 64 << 20
	// MaxContent is the most bytes a file may unpack to in all.
	MaxContent = 1 << 44
	// maxFrames bounds the table: 64 MiB of it.
	maxFrames = 8 << 20
	// maxKept bounds the unpacked frames that are kept, in bytes, and mostKept in
	// number.
	maxKept  = 64 << 20
	mostKept = 64
)

// ErrNoTable says that a file has no seek table.
var ErrNoTable = errors.New("no seek table")

// ErrFormat says that a file's seek table, or a frame, is damaged.
var ErrFormat = errors.New("damaged seekable zstd file")

// Reader reads the content of a file at any place. It may be used by several
// goroutines.
type Reader struct {
	r     io.ReaderAt
	start []int64 // where each frame's content begins, and the end of the last
	at    []int64 // where each frame begins in the file, and the end of the last
	dec   *zstd.Decoder

	mu   sync.Mutex
	kept []unpacked // the latest used last
	held int
}

type unpacked struct {
	frame   int
	content []byte
}

// NewReader reads the seek table of a file of the given size. The error is
// ErrNoTable, ErrFormat or one of reading.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	var foot [footerSize]byte
	if size < footerSize+8 {
		return nil, ErrNoTable
	}
	if _, err := r.ReadAt(foot[:], size-footerSize); err != nil && err != io.EOF {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint32(foot[5:]) != tableMagic {
		return nil, ErrNoTable
	}
	n, desc := int64(le.Uint32(foot[:])), foot[4]
	width := int64(8)
	if desc&hasChecksums != 0 {
		width = 12
	}
	tableSize := n*width + footerSize
	switch {
	case desc&reservedBits != 0:
		return nil, fmt.Errorf("%w: the table has descriptor %#x", ErrFormat, desc)
	case n > maxFrames || tableSize+8 > size:
		return nil, fmt.Errorf("%w: the table claims %d frames", ErrFormat, n)
	}
	table := make([]byte, tableSize+8)
	if _, err := r.ReadAt(table, size-int64(len(table))); err != nil && err != io.EOF {
		return nil, err
	}
	if le.Uint32(table) != skippableMagic || int64(le.Uint32(table[4:])) != tableSize {
		return nil, fmt.Errorf("%w: the table does not begin where it must", ErrFormat)
	}
	s := &Reader{r: r, start: make([]int64, 1, n+1), at: make([]int64, 1, n+1)}
	for e := table[8 : len(table)-footerSize]; len(e) > 0; e = e[width:] {
		packed, content := int64(le.Uint32(e)), int64(le.Uint32(e[4:]))
		k := len(s.start) - 1
		if content > MaxFrame || s.start[k]+content > MaxContent {
			return nil, fmt.Errorf("%w: frame %d would unpack to %d bytes", ErrFormat, k, content)
		}
		s.start, s.at = append(s.start, s.start[k]+content), append(s.at, s.at[k]+packed)
	}
	if end := s.at[len(s.at)-1]; end != size-int64(len(table)) {
		return nil, fmt.Errorf("%w: the frames end at %d, the table begins at %d", ErrFormat, end, size-int64(len(table)))
	}
	var err error
	s.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxFrame), zstd.WithDecoderMaxWindow(MaxFrame))
	return s, err
}

// Size is how many bytes the content has.
func (s *Reader) Size() int64 { return s.start[len(s.start)-1] }

// Close lets go of what the reader holds. The file beneath is not closed.
func (s *Reader) Close() error {
	s.dec.Close()
	return nil
}

// ReadAt implements io.ReaderAt on the content.
func (s *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at %d", off)
	}
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= s.Size() {
			return n, io.EOF
		}
		i := sort.Search(len(s.start), func(i int) bool { return s.start[i] > at }) - 1
		k, err := s.copyFrom(p[n:], i, at-s.start[i])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// copyFrom copies from one frame's content.
func (s *Reader) copyFrom(p []byte, frame int, in int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.unpack(frame)
	if err != nil {
		return 0, err
	}
	return copy(p, content[in:]), nil
}

// unpack returns a frame's content; mu is held.
func (s *Reader) unpack(frame int) ([]byte, error) {
	for i := len(s.kept) - 1; i >= 0; i-- {
		if u := s.kept[i]; u.frame == frame {
			copy(s.kept[i:], s.kept[i+1:])
			s.kept[len(s.kept)-1] = u
			return u.content, nil
		}
	}
	size := s.start[frame+1] - s.start[frame]
	packed := s.at[frame+1] - s.at[frame]
	if packed > 2*size+64<<10 {
		return nil, fmt.Errorf("%w: frame %d has %d bytes for %d", ErrFormat, frame, packed, size)
	}
	src := make([]byte, packed)
	if n, err := s.r.ReadAt(src, s.at[frame]); n < len(src) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	content, err := s.dec.DecodeAll(src, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%w: frame %d: %w", ErrFormat, frame, err)
	}
	if int64(len(content)) != size {
		return nil, fmt.Errorf("%w: frame %d unpacks to %d bytes, the table says %d", ErrFormat, frame, len(content), size)
	}
	s.kept = append(s.kept, unpacked{frame, content})
	s.held += len(content)
	for len(s.kept) > 1 && (s.held > maxKept || len(s.kept) > mostKept) {
		s.held -= len(s.kept[0].content)
		s.kept = s.kept[1:]
	}
	return content, nil
}
