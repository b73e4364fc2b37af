// Command ukdbg debugs and observes unikernels from outside. See README.md, or
// run "ukdbg help".
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run(context.Background(), osEnv(), os.Args[1:])) }
