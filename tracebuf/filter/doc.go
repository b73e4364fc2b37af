// Package filter is the language in which trace records and spans are chosen:
//
//	size > 4096 && path ~ "/tmp"
//	name == "vfs_*" && duration >= 1ms && !failed
//
// A word is an argument, by the name its tracepoint's format gives it
// ("fd=%d path=%s") or by position (arg0, arg1 …), or one of name, thread, cpu,
// time, text, guest, duration, self, waited, failed. An argument that is called
// like one of these is arg.NAME. Of a span, arguments are those of its begin,
// else of its end; ret.NAME and ret0 are the end's alone.
//
// Values are integers (decimal, 0x, 0o, with K, M or G for powers of 1024),
// durations (5ms, 1.5s), texts in quotes, true and false. Operators, weakest
// first: ||, &&, !, then == != < <= > >=, and ~ and !~ for a regular expression.
// == and != on texts take a pattern with * and ?.
//
// What a record does not have is unknown, not zero: a comparison with it is
// neither true nor false, ! leaves it so, and only what is true is chosen.
//
//	f, err := filter.Parse(`size>4096 && path~"/tmp"`)
//	ok := f.Match(&filter.Subject{Record: rec})
package filter
