// Package html writes a trace as one self-contained page: a latency table, a
// timeline of the threads and a flame graph.
//
//	err := html.Write(w, exporters.Trace{Spans: spans, Instants: instants, Process: "shop"}, html.Options{})
//
// The page needs no network and opens from disk in any browser. Its security
// policy forbids everything but its own script and style, known by their hashes;
// what comes from the guest is data, put into the page as text only.
//
// The table and the flame graph are made of all spans; the timeline shows the
// longest ones and says of how many. So the page's size and the memory it takes
// to write are bounded, whatever the trace's length.
//
// Specifications: HTML Living Standard; Content Security Policy Level 3.
package html
