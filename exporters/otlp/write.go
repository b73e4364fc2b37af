package otlp

import (
	"fmt"
	"io"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
)

// Form is a file format.
type Form int

const (
	// Protobuf is one TracesData message. It is written batch by batch: in
	// protobuf, messages one after another are their union.
	Protobuf Form = iota
	// JSONLines is OTLP's file format: one TracesData in JSON on each line.
	JSONLines
)

// Stats counts what was written.
type Stats struct {
	// Spans is how many, in how many Batches of how many Bytes.
	Spans, Batches int
	Bytes          int64
}

// Write writes the spans to w.
func Write(w io.Writer, form Form, spans iter.Seq2[exporters.Span, error], opt Options) (Stats, error) {
	var stats Stats
	for b, err := range EncodeTraces(spans, opt) {
		if err != nil {
			return stats, err
		}
		data := b.Payload
		if form == JSONLines {
			if data, err = jsonLine(data); err != nil {
				return stats, err
			}
		}
		wrote, err := w.Write(data)
		stats.Bytes += int64(wrote)
		if err != nil {
			return stats, fmt.Errorf("writing OTLP: %w", err)
		}
		stats.Spans += b.Items
		stats.Batches++
	}
	return stats, nil
}
