// Command ukdbg debugs and observes unikernels from outside. See README.md, or
// run "ukdbg help".
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/ukdbg/ukdbg/guard"
)

func main() {
	if guard.IsMain(os.Args) {
		os.Exit(guard.Main(os.Args))
	}
	// A reader that goes away (| head) must not kill us: a guest would stay
	// stopped. Writing fails instead, and the guest is given back.
	signal.Ignore(syscall.SIGPIPE)
	// Most runs end before the heap is worth collecting: start later, but never
	// let it grow past the limit for it.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(512 << 20)
	os.Exit(run(context.Background(), osEnv(), os.Args[1:]))
}
