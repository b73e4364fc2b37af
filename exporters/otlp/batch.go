package otlp

import (
	"fmt"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
)

// MaxBatch is the most spans, log records or metrics in one export.
const MaxBatch = 4096

// maxBatchBytes bounds an export's items, encoded. gRPC receivers accept 4 MiB by
// default.
const maxBatchBytes = 3 << 20

// ScopeName is the instrumentation scope of the spans.
const ScopeName = "github.com/ukdbg/ukdbg/tracebuf"

// UncertaintyKey is the attribute that says how far a span's times may be wrong
// either way, in nanoseconds.
const UncertaintyKey = "ukdbg.clock.uncertainty_ns"

// Options say whose telemetry it is and how it is written. Clock and MaxTrace are
// for spans only.
type Options struct {
	Resource Resource
	// Clock maps the spans' times to Unix time.
	Clock exporters.Clock
	// Version is ukdbg's version, the scope's.
	Version string
	// Batch is the number of items in one export, MaxBatch if 0.
	Batch int
	// MaxTrace is the most spans of one trace, DefaultMaxTrace if 0. What a
	// request has beyond goes into further traces, which are linked to the first
	// and say so in the attribute PartKey.
	MaxTrace int
	// Scope names the instrumentation scope; "" is the default of the signal.
	Scope string
}

func (o Options) limit() int {
	if o.Batch <= 0 || o.Batch > MaxBatch {
		return MaxBatch
	}
	return o.Batch
}

// DefaultMaxTrace keeps a trace below the 5 MB at which Tempo cuts it.
const DefaultMaxTrace = 10_000

// PartKey is the attribute that numbers the further traces of one request.
const PartKey = "ukdbg.trace.part"

// EncodeTraces returns export requests of the spans. A batch's payload is valid
// until the next one is asked for; memory is bounded by one batch.
func EncodeTraces(spans iter.Seq2[exporters.Span, error], opt Options) iter.Seq2[delivery.Batch, error] {
	return func(yield func(delivery.Batch, error) bool) {
		e := newEncoder(opt)
		b := batcher{signal: delivery.Traces, envelope: &e.envelope, limit: opt.limit(), yield: yield}
		for s, err := range spans {
			switch {
			case err != nil:
				err = fmt.Errorf("reading spans to export: %w", err)
			case s.ID == 0:
				err = fmt.Errorf("span %q has no ID; identifiers are derived from it", s.Name)
			}
			if err != nil {
				if b.flush() {
					yield(delivery.Batch{}, err)
				}
				return
			}
			if !b.add(e.span(&s)) {
				return
			}
		}
		b.flush()
	}
}

// batcher cuts encoded items into batches.
type batcher struct {
	signal delivery.Signal
	*envelope
	limit int
	yield func(delivery.Batch, error) bool
	n     int
}

// add puts an item into the batch, which is sent first if it is full. It reports
// whether more is wanted.
func (b *batcher) add(item []byte) bool {
	if b.n > 0 && (b.n == b.limit || b.size()+len(item) > maxBatchBytes) && !b.flush() {
		return false
	}
	b.envelope.add(item)
	b.n++
	return true
}

// flush sends the batch, if there is one.
func (b *batcher) flush() bool {
	n := b.n
	if n == 0 {
		return true
	}
	b.n = 0
	return b.yield(delivery.Batch{Signal: b.signal, Items: n, Payload: b.request()}, nil)
}
