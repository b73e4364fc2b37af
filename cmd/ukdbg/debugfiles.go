package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile/debuginfod"
)

// debugFlags say where debug information apart from an image is looked for.
type debugFlags struct {
	dirs       []string
	debuginfod bool
}

func (f *debugFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.dirs, "debug-dir", []string{debugfile.DefaultDir}, "look for separate debug files and for files of what the guest loaded in `DIR`, by build id and by path (may be repeated)")
	flags.BoolVar(&f.debuginfod, "debuginfod", false, "ask the servers of DEBUGINFOD_URLS for debug files that are not here")
}

// finder is what the flags describe.
func (f *debugFlags) finder(e env) (*debugfile.Finder, error) {
	find := &debugfile.Finder{Dirs: f.dirs}
	if !f.debuginfod {
		return find, nil
	}
	client, err := debuginfod.FromEnv(e.getenv)
	if err != nil {
		return nil, usageError{err}
	}
	client.Report = func(url string) { fmt.Fprintf(e.err, "asking %s\n", url) }
	find.Fetch = client
	return find, nil
}
