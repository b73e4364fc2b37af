// Package recording reads and writes trace recordings: files that hold the
// records of a guest's trace buffer over any length of time with everything
// that is needed to read them.
//
// A recording is a sequence of blocks, each with a checksum and written at once.
// It is only ever appended to, so that one which is cut anywhere is readable up
// to the cut; a damaged block costs itself. It can be written to and read from a
// pipe, and two recordings one after the other are a recording.
//
//	w := recording.NewWriter(file, 0)
//	err := w.Start(recording.Start{…}, definitions)
//	n, err := w.Records(recording.Data{…}, records, defs)
//
//	r := recording.NewReader(file)
//	for {
//		b, err := r.Next() // io.EOF at the end
//		switch b.Kind {
//		case recording.KindData: …
//
// The format is docs/trace-recording.md. All input is hostile: a block takes at
// most MaxBody bytes of memory, whatever it claims.
package recording
