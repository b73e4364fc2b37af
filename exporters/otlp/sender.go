package otlp

import (
	"context"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/transport"
)

// route is where a signal goes: the path over HTTP, the method over gRPC.
type route struct{ path, method string }

// routes of the OTLP specification, and of the signal for profiles as long as it
// is in development.
func routeOf(s delivery.Signal) (route, error) {
	switch s {
	case delivery.Traces:
		return route{"/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"}, nil
	case delivery.Logs:
		return route{"/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"}, nil
	case delivery.Metrics:
		return route{"/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"}, nil
	case delivery.Profiles:
		return route{"/v1development/profiles", "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"}, nil
	}
	return route{}, fmt.Errorf("OTLP has no %s", s)
}

// Sender sends batches to an OpenTelemetry receiver: the payload is the export
// request of the batch's signal, as EncodeTraces, EncodeLogs, EncodeMetrics and
// package otlpprofiles make it.
type Sender struct{ client *transport.Client }

// NewSender makes a sender. The path of an http URL is what comes before that of
// the signal ("/v1/traces"); where it ends in the path of a signal, the others
// are beside it.
func NewSender(ep transport.Endpoint) (*Sender, error) {
	c, err := transport.Open(ep)
	if err != nil {
		return nil, fmt.Errorf("OTLP: %w", err)
	}
	return &Sender{c}, nil
}

// Name is the receiver's URL without a password.
func (s *Sender) Name() string { return s.client.Name() }

// Close closes idle connections.
func (s *Sender) Close() { s.client.Close() }

// Joins implements delivery.Joiner: requests put one after another are one, but for
// profiles, which share one table of names and stacks.
func (s *Sender) Joins(signal delivery.Signal) bool { return signal != delivery.Profiles }

// Send implements delivery.Sender.
func (s *Sender) Send(ctx context.Context, b delivery.Batch) (delivery.Reply, error) {
	r, err := routeOf(b.Signal)
	if err != nil {
		return delivery.Reply{}, &delivery.Refused{Err: err}
	}
	var answer []byte
	if s.client.GRPC() {
		answer, err = s.client.Call(ctx, r.method, b.Payload)
	} else {
		u := s.client.Base()
		u.Path = signalPath(u.Path, r.path)
		answer, err = s.client.Post(ctx, transport.Request{URL: u, ContentType: "application/x-protobuf", Body: b.Payload})
	}
	if err != nil {
		return delivery.Reply{}, err
	}
	return parseReply(answer)
}

// signalPath puts the signal's path behind the base, in place of another signal's.
func signalPath(base, path string) string {
	base = strings.TrimSuffix(base, "/")
	for _, s := range []delivery.Signal{delivery.Traces, delivery.Logs, delivery.Metrics, delivery.Profiles} {
		if other, err := routeOf(s); err == nil {
			if before, ok := strings.CutSuffix(base, other.path); ok {
				return before + path
			}
		}
	}
	return base + path
}
