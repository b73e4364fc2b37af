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

// Stats counts what became of the spans.
type Stats struct {
	// Spans is how many were encoded, in how many Batches of how many Bytes.
	Spans, Batches int
	Bytes          int64
	// Accepted, Rejected (by a partial success) and Failed (in a batch that
	// could not be delivered) add up to Spans, with what waits in a spool. A file
	// accepts all.
	Accepted, Rejected, Failed int
	// Retries counts attempts beyond the first.
	Retries int
	// Replayed is the spans accepted that an earlier process left in the spool,
	// Waiting the batches that are still there.
	Replayed, Waiting int
	// Notes are what the receiver said about rejected spans and in warnings,
	// each once, at most maxNotes of them.
	Notes []string
}

const maxNotes = 16

func (s *Stats) note(text string) {
	if text == "" || len(s.Notes) == maxNotes {
		return
	}
	for _, n := range s.Notes {
		if n == text {
			return
		}
	}
	s.Notes = append(s.Notes, text)
}

// Write writes the spans to w.
func Write(w io.Writer, form Form, spans iter.Seq2[exporters.Span, error], opt Options) (Stats, error) {
	var stats Stats
	err := batches(spans, opt, func(request []byte, n int) error {
		data, err := request, error(nil)
		if form == JSONLines {
			if data, err = jsonLine(request); err != nil {
				return err
			}
		}
		stats.Spans += n
		stats.Batches++
		wrote, err := w.Write(data)
		stats.Bytes += int64(wrote)
		if err != nil {
			stats.Failed += n
			return fmt.Errorf("writing OTLP: %w", err)
		}
		stats.Accepted += n
		return nil
	})
	return stats, err
}
