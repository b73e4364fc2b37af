// Package exporters has the one event model the exporters below it write: spans
// and instants of a guest's threads, with the clock that dates them.
//
// The forms are its sub-packages: otlp (OpenTelemetry), perfetto (Perfetto and
// Chrome trace files), ctf, csv, parquet, html and folded (stacks, and the call
// tree that html and pprof show, too). Profiles have a model of their own in
// package profiler, which exporters/pprof writes.
//
// Spans come as an iter.Seq2 so that a trace of any length is written in
// bounded memory; an error in the sequence ends the export and is returned.
// From a slice:
//
//	otlp.Write(w, otlp.JSONLines, exporters.Of(spans...), otlp.Options{...})
package exporters
