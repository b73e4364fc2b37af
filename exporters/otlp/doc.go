// Package otlp writes spans, log records and metrics as OpenTelemetry has them, and
// sends these and profiles (package otlpprofiles) to a collector over OTLP/gRPC and
// OTLP/HTTP. Spans are written to files, too.
//
//	opt := otlp.Options{Resource: otlp.Resource{ServiceName: "shop", InstanceID: uuid, HostArch: "amd64"}, Clock: clock}
//	stats, err := otlp.Push(ctx, transport.Endpoint{URL: "grpc://127.0.0.1:4317"}, spans, opt, delivery.PushOptions{})
//
// Telemetry that goes on for ever is put into a delivery.Queue whose Sender is
// NewSender:
//
//	for b, err := range otlp.EncodeLogs(records, opt) {
//		err = queue.Put(ctx, b)
//	}
//
// Requests of traces, logs or metrics of several guests make one when their bytes
// are put one after another, as a Queue does.
//
// Identifiers are derived from the service instance and the span's position, so
// a batch that is sent twice (OTLP is at-least-once) carries the same ones.
// Names of attributes are those of the semantic conventions; ours are under
// "ukdbg.". What a receiver rejects is counted, what could not be delivered is
// an error; nothing is dropped silently.
//
// An export request has the wire form of TracesData, LogsData and so on.
//
// Specifications: OpenTelemetry Protocol 1.7 (OTLP/gRPC, OTLP/HTTP, failures,
// throttling); OTLP File Exporter (JSON lines); semantic conventions 1.43.
package otlp
