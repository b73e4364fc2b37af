// Package ctf writes a trace's records as a folder in the Common Trace Format 1.8,
// which babeltrace2, Trace Compass and the LTTng tools read.
//
//	stats, err := ctf.Write(dir, exporters.Trace{Records: records, Process: "shop", Clock: clock})
//
// The folder has one stream per CPU and the text file metadata. Each tracepoint is
// an event class whose fields are the record's attributes with their types; the
// thread is in every event's context. Times are those of the guest since its boot,
// stretched where it was paused; the clock's offset makes them times of day.
//
// Field names begin with an underscore, as the format wants where a name might be
// a keyword; readers take it off.
//
// Memory is bounded by a packet of each CPU and the number of tracepoints.
//
// Specification: diamon.org/ctf, version 1.8.3.
package ctf
