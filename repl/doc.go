// Package repl is a person's session with a guest: it reads commands, runs them
// on a ukdbg.Session and prints what people want to read.
//
// Commands have gdb's names where gdb has one, with gdb's usual abbreviations;
// any other command may be cut to an unambiguous prefix. They live in one table
// (commands.go); a file cmd_*.go holds the commands of one topic.
//
// All input and output of a session happens on the goroutine that called Run;
// the line editor hides behind LineReader, so that a pipe, a terminal and a test
// look alike.
//
// Typical use:
//
//	r := repl.New(session, repl.Options{In: lines, Out: os.Stdout})
//	err := r.Run(ctx)
package repl
