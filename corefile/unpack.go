package corefile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/corefile/seekzstd"
)

// MaxUnpacked is the most bytes a compressed dump may unpack to. Its zero pages
// count here but take no memory.
const MaxUnpacked = 16 << 30

// maxResident bounds the memory an unpacked dump takes.
const maxResident = 2 << 30

// packed names the packer of a file that begins with head, "" for none.
func packed(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "gzip"
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return "zstd"
	}
	return ""
}

// unpack returns the dump itself: r, or what it is the compressed form of.
func unpack(r io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	var head [4]byte
	n, err := r.ReadAt(head[:], 0)
	if n < len(head) {
		if err != nil && err != io.EOF {
			return nil, 0, err
		}
		return nil, 0, malformed("it has %d bytes", n)
	}
	src := io.NewSectionReader(r, 0, size)
	var stream io.Reader
	switch packed(head[:]) {
	case "gzip":
		z, err := gzip.NewReader(bufio.NewReaderSize(src, 256<<10))
		if err != nil {
			return nil, 0, malformed("it is no gzip file in spite of its first bytes: %v", err)
		}
		stream = z
	case "zstd":
		// One with a seek table is read where it is looked at.
		seek, err := seekzstd.NewReader(r, size)
		if err == nil {
			return seek, seek.Size(), nil
		}
		if !errors.Is(err, seekzstd.ErrNoTable) && !errors.Is(err, seekzstd.ErrFormat) {
			return nil, 0, err
		}
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, 0, malformed("it is no zstd file in spite of its first bytes: %v", err)
		}
		defer z.Close()
		stream = z
	default:
		return r, size, nil
	}
	s := &sparse{}
	err = s.fill(stream)
	if errors.Is(err, ErrTooLarge) || s.size == 0 && err != nil {
		return nil, 0, fmt.Errorf("unpacking the dump: %w", err)
	}
	// A stream that breaks off is used as far as it goes: the segments say what
	// is missing.
	return s, s.size, nil
}

// chunk is the unit of zero suppression in bytes.
const chunk = 64 << 10

// sparse is a file in memory without its zero chunks.
type sparse struct {
	chunks [][]byte // nil is all zero
	size   int64
}

// fill takes the whole stream, or as much of it as comes before an error.
func (s *sparse) fill(r io.Reader) error {
	buf := make([]byte, chunk)
	resident := 0
	for {
		n, err := readChunk(r, buf)
		if s.size+int64(n) > MaxUnpacked {
			return ErrTooLarge
		}
		if n > 0 {
			var keep []byte
			if !allZero(buf[:n]) {
				if resident += n; resident > maxResident {
					return ErrTooLarge
				}
				keep = bytes.Clone(buf[:n])
			}
			s.size += int64(n)
			s.chunks = append(s.chunks, keep)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readChunk fills buf; less of it comes with the stream's error or io.EOF.
func readChunk(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var got int
		got, err = r.Read(buf[n:])
		n += got
	}
	if n == len(buf) {
		err = nil // it will come again
	}
	return n, err
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// ReadAt implements io.ReaderAt.
func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at < 0 || at >= s.size {
			return done, io.EOF
		}
		in := int(at % chunk)
		n := min(chunk-in, len(p)-done, int(min(s.size-at, chunk)))
		dst := p[done : done+n]
		if c := s.chunks[at/chunk]; c != nil {
			copy(dst, c[in:])
		} else {
			clear(dst)
		}
		done += n
	}
	return done, nil
}
