package otlp

import (
	"fmt"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
)

// MaxBatch is the most spans in one export.
const MaxBatch = 4096

// maxBatchBytes bounds an export's spans, encoded. gRPC receivers accept 4 MiB by
// default.
const maxBatchBytes = 3 << 20

// ScopeName is the instrumentation scope of the spans.
const ScopeName = "github.com/ukdbg/ukdbg/tracebuf"

// UncertaintyKey is the attribute that says how far a span's times may be wrong
// either way, in nanoseconds.
const UncertaintyKey = "ukdbg.clock.uncertainty_ns"

// Options say how spans are written.
type Options struct {
	Resource Resource
	// Clock maps the spans' times to Unix time.
	Clock exporters.Clock
	// Version is ukdbg's version, the scope's.
	Version string
	// Batch is the number of spans in one export, MaxBatch if 0.
	Batch int
	// MaxTrace is the most spans of one trace, DefaultMaxTrace if 0. What a
	// request has beyond goes into further traces, which are linked to the first
	// and say so in the attribute PartKey.
	MaxTrace int
}

// DefaultMaxTrace keeps a trace below the 5 MB at which Tempo cuts it.
const DefaultMaxTrace = 10_000

// PartKey is the attribute that numbers the further traces of one request.
const PartKey = "ukdbg.trace.part"

// batches calls send with one encoded export request after another and the
// number of its spans; the bytes are valid during the call. Memory is bounded by
// one batch.
func batches(spans iter.Seq2[exporters.Span, error], opt Options, send func(request []byte, n int) error) error {
	limit := opt.Batch
	if limit <= 0 || limit > MaxBatch {
		limit = MaxBatch
	}
	e := newEncoder(opt)
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		count := n
		n = 0
		return send(e.request(), count)
	}
	for s, err := range spans {
		if err != nil {
			if serr := flush(); serr != nil {
				return serr
			}
			return fmt.Errorf("reading spans to export: %w", err)
		}
		if s.ID == 0 {
			return fmt.Errorf("span %q has no ID; identifiers are derived from it", s.Name)
		}
		span := e.span(&s)
		if n > 0 && (n == limit || e.size()+len(span) > maxBatchBytes) {
			// What was encoded is kept while the batch before it is sent.
			if err := flush(); err != nil {
				return err
			}
		}
		e.add(span)
		n++
	}
	return flush()
}
