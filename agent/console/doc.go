// Package console follows the console logs of guests and returns each fault
// report in them, once it is complete.
//
//	src, err := console.Find(&guest)       // *NoneError: why there is none
//	w := console.NewWatcher()              // one for all guests
//	f, err := console.Follow(ctx, console.Options{Source: src, State: dir, Watcher: w})
//	for {
//		fault, err := f.Next() // also says: the ones before are taken care of
//		...
//	}
//
// # What is not lost
//
// A report that was in the file when the file could be read is returned, through
// rotation by renaming, by copying and truncating, through truncation, deletion
// and recreation, and through the death of this process: the place up to which
// reports were returned is kept in a file (mode 0600), with the file's identity
// and a checksum of the bytes before the place. When those do not fit any more,
// the place is looked for among the rotated files beside the log, plain or
// gzip. A process that is killed returns some reports twice; both
// have the same ID.
//
// What a rotation destroys before it is read (truncated without a copy), is gone;
// Stats.Gaps counts how often that may have been. Rewriting a log with the very
// bytes it had, at the same places, is not noticed.
//
// # What it costs
//
// An idle console costs two stat(2) a second and a watch of one inotify(7)
// descriptor shared by all. Reading is bounded by Limits: bytes and reports per
// second, how far it may lag behind, and how much text of compressed files is unpacked,
// of all beside the log together; what is left out is counted.
//
// # Which files
//
// The path of a log comes from the command line of somebody's process. It is
// read only if it is a regular file that belongs to the VMM's user or that the
// VMM has open for writing, so that nobody has the agent read for him what he
// cannot.
package console
