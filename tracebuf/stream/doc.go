// Package stream gives the records of a trace one after another, wherever they
// come from: a recording, a snapshot of a guest's buffer, a file of upstream's.
//
// A Source gives chunks: stretches of consecutive records of one guest, with
// what is known of the host's time meanwhile, and the gaps between them. Each
// calls a function with every record of one or several sources; several are
// merged by the host's clock. Memory is bounded whatever the length.
//
//	src := stream.NewRecording(file)
//	err := stream.Each([]stream.Source{src}, func(ev *stream.Event) error { … })
//
// # Clock
//
// A guest's clock stands still while the guest does, may run fast or slow and
// jumps back when a snapshot is restored. What is observed of it is, for each
// reading of the buffer, that its records were written between two times of the
// host: after the guest was let run and before it was stopped. Each such
// stretch is a Piece with an offset that agrees with both ends and, if possible,
// with the piece before; the piece also says how far the offset may be wrong.
// Times so mapped never go back within a guest run.
//
// # Positions
//
// A record's Position is its time in 1/256 ns, raised where needed so that each
// is larger than the one before. However a record is read (from a live guest, a
// dump, a recording, twice), it has the same position; with the instance and the
// generation of its guest it is known among all records.
package stream
