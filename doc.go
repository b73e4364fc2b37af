// Package ukdbg is the library people import: a Session is a guest, its image
// and its kernel together, and everything the command and the REPL do is done
// through it.
//
// A Session is used from one goroutine. Every stop, write or resume starts a new
// epoch; threads, frames and values carry theirs, and using a stale one is
// ErrStale. Only Interrupt may be called from another goroutine.
//
// Typical use:
//
//	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: "tcp:localhost:1234", Image: "app.dbg"})
//	if err != nil { ... }
//	defer s.Leave(ctx)
//	threads, err := s.Threads(ctx)
//	frames, err := s.Backtrace(ctx, threads[0])
package ukdbg
