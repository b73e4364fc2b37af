package otlp

import (
	"context"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/transport"
)

// Push sends the spans in order, batch after batch, and returns what became of
// them, as delivery.Push does: how says how long a receiver that is away is
// waited for, and which spool keeps what it does not take.
func Push(ctx context.Context, ep transport.Endpoint, spans iter.Seq2[exporters.Span, error], opt Options, how delivery.PushOptions) (delivery.Stats, error) {
	s, err := NewSender(ep)
	if err != nil {
		return delivery.Stats{}, err
	}
	defer s.Close()
	how.Name, how.Sender = s.Name(), s
	return delivery.Push(ctx, EncodeTraces(spans, opt), how)
}
