// Package otlp writes spans as OpenTelemetry traces: to a file, or to a
// collector over OTLP/gRPC and OTLP/HTTP.
//
//	stats, err := otlp.Push(ctx, otlp.Endpoint{URL: "grpc://127.0.0.1:4317"}, spans, otlp.Options{
//		Resource: otlp.Resource{ServiceName: "shop", InstanceID: uuid, HostArch: "amd64"},
//		Clock:    clock,
//	})
//
// Identifiers are derived from the service instance and the span's position, so
// a batch that is sent twice (OTLP is at-least-once) carries the same ones.
// Names of attributes are those of the semantic conventions; ours are under
// "ukdbg.". What a receiver rejects is counted, what could not be delivered is
// an error; nothing is dropped silently.
//
// Nothing here imports a gRPC library: linking one costs every start of ukdbg
// milliseconds. An export request has the wire form of TracesData, and a unary
// gRPC call is one HTTP/2 request, which net/http speaks.
//
// Specifications: OpenTelemetry Protocol 1.7 (OTLP/gRPC, OTLP/HTTP, failures,
// throttling); OTLP File Exporter (JSON lines); gRPC over HTTP/2
// (PROTOCOL-HTTP2.md); semantic conventions 1.43.
package otlp
