// Package listing writes the records of a trace one a line: for people, as JSON,
// or as CSV.
//
//	l := listing.New(w, listing.Options{Form: listing.Text})
//	err := l.All(ctx, source, nil)         // fast, on all processors
//	err := l.Record(seen)                  // or one by one, as a Visitor's
//
// Text of the guest is made safe for a terminal in the Text form: a byte that is
// no printable character comes as \xNN. The fields of the JSON form are those of
// docs/json.md; bytes that are no UTF-8 become U+FFFD there. The columns of the
// CSV form are time_ns, unix_ns, guest, thread, cpu, name, text.
package listing
