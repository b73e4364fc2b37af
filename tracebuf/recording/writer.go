package recording

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// blockBytes is where a large drain is cut into blocks. Readers work on a block
// at a time.
const blockBytes = 1 << 20

// smallest is the size below which compressing is not worth it, in bytes.
const smallest = 128

// Writer writes a recording. Each block goes out in one Write, so that whoever
// kills the writer leaves whole blocks and at most one cut one.
type Writer struct {
	w      io.Writer
	source uint16
	number uint64
	enc    *zstd.Encoder
	out    []byte
	packed []byte
	bytes  int64
}

// NewWriter writes the blocks of one source to w.
func NewWriter(w io.Writer, source uint16) *Writer { return &Writer{w: w, source: source} }

// Bytes is how much was written.
func (w *Writer) Bytes() int64 { return w.bytes }

// Start opens a guest run; section is the image's .uk_tracepoints_list.
func (w *Writer) Start(s Start, section []byte) error {
	s.Format, s.Version = Format, Version
	if err := w.json(KindStart, s); err != nil {
		return err
	}
	return w.block(KindDefinitions, nil, section)
}

// Segment opens a stretch of the guest's clock.
func (w *Writer) Segment(s Segment) error { return w.json(KindSegment, s) }

// Threads names threads.
func (w *Writer) Threads(t Threads) error { return w.json(KindThreads, t) }

// End closes the recording.
func (w *Writer) End(e End) error { return w.json(KindEnd, e) }

// Lost writes that records are missing.
func (w *Writer) Lost(l Lost) error { return w.block(KindLost, nil, l.append(nil)) }

// Records writes one reading of a buffer in as many blocks as it takes, and
// returns what it met. Of d, it fills in First, Last and Records.
func (w *Writer) Records(d Data, records []byte, defs *tracebuf.Definitions) (tracebuf.Stats, error) {
	var total tracebuf.Stats
	sc := tracebuf.NewScanner(records, defs, d.Slide)
	start := 0
	d.First, d.Last, d.Records = 0, 0, 0
	flush := func(end int, last bool) error {
		part := d
		if !last {
			part.Flags &^= Full
		}
		err := w.block(KindData, part.append(nil), records[start:end])
		start, d.First, d.Last, d.Records = end, 0, 0, 0
		return err
	}
	for sc.Scan() {
		r := sc.Record()
		// A stretch that is no record may be as long as the buffer.
		for r.Offset+r.Size-start > blockBytes {
			end := r.Offset
			if end == start {
				end = min(start+blockBytes, r.Offset+r.Size)
			}
			if err := flush(end, false); err != nil {
				return total, err
			}
		}
		if r.Problem == tracebuf.Good {
			if d.Records == 0 {
				d.First = r.Time
			}
			d.Last = r.Time
			d.Records++
		}
	}
	return sc.Stats(), flush(len(records), true)
}

func (w *Writer) json(k Kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s block: %w", k, err)
	}
	return w.block(k, nil, b)
}

// Copy writes a block of another recording under this writer's source.
func (w *Writer) Copy(b *Block) error {
	c := *b
	return w.put(&c)
}

// block writes one block: head stays as it is, body is compressed.
func (w *Writer) block(k Kind, head, body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("%s block: %d bytes, more than %d", k, len(body), MaxBody)
	}
	b := Block{Kind: k, raw: uint32(len(body))}
	w.packed = append(w.packed[:0], head...)
	if len(body) >= smallest {
		if w.enc == nil {
			var err error
			if w.enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)); err != nil {
				return err
			}
		}
		w.packed = w.enc.EncodeAll(body, w.packed)
		b.codec = zstdC
	}
	if b.codec == plain || len(w.packed)-len(head) >= len(body) {
		b.codec = plain
		w.packed = append(append(w.packed[:0], head...), body...)
	}
	b.stored = w.packed
	return w.put(&b)
}

func (w *Writer) put(b *Block) error {
	b.Source, b.Number = w.source, w.number
	w.out = append(header(w.out[:0], b), b.stored...)
	n, err := w.w.Write(w.out)
	w.bytes += int64(n)
	if err != nil {
		return fmt.Errorf("writing the recording: %w", err)
	}
	w.number++
	return nil
}
