// Command ukdbg-pprof is google/pprof with its web interface, for "ukdbg web". It
// is a program of its own because what it links costs each start several
// milliseconds, and ukdbg is to start in three.
package main

import (
	"fmt"
	"os"

	"github.com/google/pprof/driver"
)

func main() {
	if err := driver.PProf(&driver.Options{HTTPServer: serve}); err != nil {
		fmt.Fprintf(os.Stderr, "ukdbg-pprof: %v\n", err)
		os.Exit(1)
	}
}
