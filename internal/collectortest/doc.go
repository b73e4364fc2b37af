// Package collectortest runs a real OpenTelemetry receiver for tests and for the
// demo: the collector project's otlpreceiver in a small program of its own.
//
// The program is the nested module in collector/, with its dependencies pinned
// there; it is built on first use and kept in the user's cache folder, under a
// name made of its sources and the Go version. Building on a machine that has
// none of the modules takes one to two minutes.
//
//	c := collectortest.Run(t, collectortest.Options{})
//	otlp.Push(ctx, transport.Endpoint{URL: "grpc://" + c.GRPC}, spans, opt, delivery.PushOptions{})
//	got, err := c.Spans() // and Logs, Metrics, Profiles
package collectortest
