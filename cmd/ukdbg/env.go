package main

import (
	"io"
	"os"

	"github.com/ukdbg/ukdbg/guard"
)

// env is all a verb may touch of the world beside its target, so that each verb
// is tested with its whole output.
type env struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	// inTTY and outTTY report whether a person is at the other end.
	inTTY, outTTY bool
	// guard is the command of the process that gives a guest back if this one
	// dies, nil for none.
	guard []string
	// held is out where it can be kept back: see once.
	held *heldOutput
}

func osEnv() env {
	return env{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		getenv: os.Getenv,
		guard:  guard.Self(),
		inTTY:  isTerminal(os.Stdin), outTTY: isTerminal(os.Stdout),
	}
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	// Standard output sent to /dev/null is a device too, and nobody is there.
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(st, null)
}

// color reports whether output may be coloured.
func (e env) color() bool {
	return e.outTTY && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}
