// Package tracebuf reads the trace buffer that Unikraft's UK_TRACEPOINT macro
// fills inside an image: definitions, records, printf texts, spans.
//
// The image's .dbg file holds what the tracepoints are (sections
// .uk_tracepoints_list and .uk_trace_keyvals); the guest's memory holds what
// happened (uk_trace_buffer up to uk_trace_buffer_writep). The two meet in the
// cookie of a record, which is the address of its definition: at run time in
// the record, at link time in the definition. Their difference is the slide.
//
// Typical use:
//
//	defs, err := tracebuf.ParseDefinitions(image.Section(".uk_tracepoints_list"))
//	snap, err := tracebuf.Read(ctx, mem, tracebuf.Location{Buffer: …, Size: …, Writep: …, Free: …})
//	slide, _ := tracebuf.InferSlide(snap.Data, defs)
//	s := tracebuf.NewScanner(snap.Data, defs, slide)
//	for s.Scan() {
//		r := s.Record()
//		if r.Problem != tracebuf.Good {
//			// r.Offset, r.Size and r.Problem say what was skipped and why
//			continue
//		}
//		text = r.AppendText(text[:0])
//	}
//
// Packages below make more of records: recording is the file format, pickle reads
// upstream's files, ring the rings of uktrace, stream gives the records of any of
// these, merged and dated; filter, hist, analysis and listing answer questions.
// Exporters never see any of this: their input is package exporters' Trace, Span
// and Event, which stay as they are whatever traces come from.
//
// All input is hostile: it comes from a guest or a file. Nothing here panics or
// allocates beyond a small multiple of its input. The texts and strings handed
// out are the guest's bytes: escape them before they reach a terminal.
//
// Format: Unikraft lib/ukdebug/include/uk/trace.h, format_version 1. All
// integers are little-endian and packed.
package tracebuf
