package seekzstd

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// frameSize is how much content a frame that is written has, in bytes: small
	// enough that a random read unpacks little, large enough to shrink well.
	frameSize = 256 << 10

	skippableMagic = 0x184D2A5E
	tableMagic     = 0x8F92EAB1
	footerSize     = 9
	hasChecksums   = 1 << 7
	reservedBits   = 0x7c
)

// Writer writes content as frames. It is used by one goroutine; frames are
// packed by several.
type Writer struct {
	w       io.Writer
	enc     *zstd.Encoder
	buf     []byte
	entries []entry
	written int64
	err     error

	pending chan frame // in order, as they will be packed
	drained chan struct{}
	failed  chan error
}

// frame is one that is being packed.
type frame struct {
	size int
	done chan []byte
}

// entry is a frame in the table: its size in the file and unpacked, in bytes.
type entry struct{ packed, size uint32 }

// ahead is how many frames are packed at once.
const ahead = 4

// NewWriter begins a file. Close ends it; without it the file is one that is cut
// off.
func NewWriter(w io.Writer) (*Writer, error) {
	// The frames' own checksums are on.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(ahead))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	s := &Writer{w: w, enc: enc, pending: make(chan frame, ahead), drained: make(chan struct{}), failed: make(chan error, 1)}
	go s.drain()
	return s, nil
}

// drain writes packed frames in their order.
func (w *Writer) drain() {
	defer close(w.drained)
	var err error
	for f := range w.pending {
		packed := <-f.done
		if err == nil {
			if _, err = w.w.Write(packed); err != nil {
				w.failed <- err
			}
		}
		w.entries = append(w.entries, entry{packed: uint32(len(packed)), size: uint32(f.size)})
		w.written += int64(len(packed))
	}
}

// Write takes content. An error is one of the file beneath, of this or an
// earlier frame.
func (w *Writer) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if w.err != nil {
			return n, w.err
		}
		k := min(len(p)-n, frameSize-len(w.buf))
		w.buf = append(w.buf, p[n:n+k]...)
		n += k
		if len(w.buf) == frameSize {
			w.flush()
		}
	}
	return n, w.err
}

func (w *Writer) flush() {
	select {
	case w.err = <-w.failed:
	default:
	}
	if w.err != nil || len(w.buf) == 0 {
		return
	}
	content := w.buf
	w.buf = make([]byte, 0, frameSize)
	f := frame{size: len(content), done: make(chan []byte, 1)}
	w.pending <- f
	go func() { f.done <- w.enc.EncodeAll(content, nil) }()
}

// Close packs what is left and writes the seek table. The file beneath is not
// closed.
func (w *Writer) Close() error {
	w.flush()
	close(w.pending)
	<-w.drained
	select {
	case err := <-w.failed:
		w.err = err
	default:
	}
	if err := w.enc.Close(); w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return w.err
	}
	le := binary.LittleEndian
	table := le.AppendUint32(nil, skippableMagic)
	table = le.AppendUint32(table, uint32(8*len(w.entries)+footerSize))
	for _, e := range w.entries {
		table = le.AppendUint32(table, e.packed)
		table = le.AppendUint32(table, e.size)
	}
	table = le.AppendUint32(table, uint32(len(w.entries)))
	table = append(table, 0)
	table = le.AppendUint32(table, tableMagic)
	n, err := w.w.Write(table)
	w.written += int64(n)
	return err
}

// Size is how many bytes were written, after Close.
func (w *Writer) Size() int64 { return w.written }
