// Package folded adds up where the time of spans went, as a call tree of names,
// and writes it as folded stacks, the lines flamegraph.pl, speedscope and inferno
// read: "thread;outer;inner 1234", the number being the time spent in the last
// name itself, in nanoseconds, or how often.
//
//	err := folded.Write(w, spans, folded.Options{})
//	tree, err := folded.Build(spans, folded.Options{}) // the tree itself
//
// Memory depends on the number of different stacks and of spans open at once,
// not on that of spans.
//
// Format: the comment at the head of flamegraph.pl (Brendan Gregg).
package folded
