// Package transport makes one request to a receiver of telemetry, over HTTP or
// as a unary gRPC call, and sorts what can go wrong for package delivery.
//
//	c, err := transport.Open(transport.Endpoint{URL: "grpcs://tempo:4317", Gzip: true})
//	answer, err := c.Call(ctx, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", request)
//
// Nothing here imports a gRPC library: linking one costs every start of ukdbg
// milliseconds. A unary call is one HTTP/2 request, which net/http speaks.
//
// Specifications: gRPC over HTTP/2 (PROTOCOL-HTTP2.md), http-grpc-status-mapping.md,
// compression.md; OpenTelemetry Protocol 1.7, "Failures" and "Throttling", which
// other receivers of telemetry follow too; RFC 9110.
package transport
