// Command ukdbg debugs and observes unikernels from outside. See README.md, or
// run "ukdbg help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A reader that goes away (| head) must not kill us: a guest would stay
	// stopped. Writing fails instead, and the guest is given back.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(context.Background(), osEnv(), os.Args[1:]))
}
