// Package perfetto writes spans as trace files for ui.perfetto.dev and for
// Chrome's viewer.
//
//	err := perfetto.Write(w, spans, perfetto.Options{Process: "shop", Clock: clock})
//	err := perfetto.WriteChrome(w, spans, perfetto.Options{...}) // JSON
//
// Each thread of the guest is a track. Spans of one thread that overlap without
// one holding the other get lanes of their own beside it, since a track can
// only nest. Times are those of the guest since its boot, stretched where it
// was paused, with a clock snapshot that tells the wall time.
//
// Memory is bounded: spans are put in order within a window, and interned names
// are forgotten when there are too many.
//
// Specifications: perfetto/trace/trace_packet.proto, track_event/*.proto,
// interned_data.proto and clock_snapshot.proto; "Trace Event Format" for the
// JSON form.
package perfetto
