package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
)

// writeFlags say what a dump is to hold.
type writeFlags struct {
	minimal bool
	pause   bool
	depth   int
}

func (f *writeFlags) options(e env) ukdbg.WriteOptions {
	opt := ukdbg.WriteOptions{Minimal: f.minimal, Pause: f.pause, Depth: f.depth, Writer: "ukdbg " + version}
	if f.depth == 0 {
		opt.Depth = -1
	}
	if file, ok := e.err.(*os.File); ok && isTerminal(file) {
		opt.Progress = progress(e.err)
	}
	return opt
}

func newDump(e env) *cobra.Command {
	var flags targetFlags
	var f writeFlags
	var out string
	cmd := &cobra.Command{
		Use:   "dump TARGET -e NAME.dbg -o FILE",
		Short: "Write a dump of a guest, all of it or what a debugger needs",
		Long: `dump writes a guest's memory and registers to a file that every verb opens: an ELF
core, as gdb reads it too, in zstd with a seek table ('zstd -d' unpacks it).

A running guest that is observed (qmp:, pid:) goes on running, and the dump is of no
one instant, unless --pause stops it meanwhile. A guest behind a stub stands while it
is dumped, unless --max-pause is given.

--minimal leaves out what heap objects hold: it has the stacks and structures of all
threads, registers, trace buffer, console ring, the image's own data, page tables, the
heap's records, and the structures that pointers in variables reach. It needs -e.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case out == "":
				return usageError{errors.New("dump wants -o FILE")}
			case f.minimal && flags.image == "":
				return usageError{errors.New("--minimal needs the image to know what matters: -e NAME.dbg")}
			case f.depth < 0:
				return usageError{errors.New("--depth must be 0 or more")}
			}
			flags.stops.control = f.pause
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				st, err := dumpTo(ctx, e, s, out, f.options(e))
				if err != nil {
					return err
				}
				if flags.json {
					return printJSON(e, dumpOf(out, st))
				}
				fmt.Fprint(e.out, dumpText(out, st))
				return nil
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	f.add(cmd)
	cmd.Flags().StringVarP(&out, "output", "o", "", "the file to write")
	cmd.Flags().BoolVar(&f.minimal, "minimal", false, "leave out what heap objects hold")
	return cmd
}

func (f *writeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.pause, "pause", false, "stop a guest that is observed while it is dumped")
	cmd.Flags().IntVar(&f.depth, "depth", ukdbg.DefaultDepth, "how many pointers --minimal follows from variables")
}

// dumpTo writes a dump to a file of the person's alone: under another name until
// it is whole.
func dumpTo(ctx context.Context, e env, s *ukdbg.Session, out string, opt ukdbg.WriteOptions) (st ukdbg.DumpStats, err error) {
	err = writeWhole(out, func(w io.Writer) error {
		st, err = s.WriteDump(ctx, w, opt)
		return err
	})
	if opt.Progress != nil {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	return st, err
}

// writeWhole writes a file, mode 0600, that is there whole or not at all.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.part")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// progress shows how far a dump is, ten times a second.
func progress(w io.Writer) func(done, total uint64) {
	var last time.Time
	return func(done, total uint64) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			fmt.Fprintf(w, "\r%3d %% of %s", 100*done/max(1, total), ukdbg.SizeText(total))
		}
	}
}

// dumpJSON is the answer of dump: docs/json.md.
type dumpJSON struct {
	File      string   `json:"file"`
	Size      int64    `json:"size"`
	Memory    int64    `json:"memory"`
	Pieces    int      `json:"pieces"`
	CPUs      int      `json:"cpus"`
	Minimal   bool     `json:"minimal"`
	Instant   bool     `json:"instant"`
	Torn      string   `json:"torn,omitempty"`
	StoppedNS int64    `json:"stopped_ns"`
	TookNS    int64    `json:"took_ns"`
	Notes     []string `json:"notes,omitempty"`
}

func dumpOf(file string, st ukdbg.DumpStats) dumpJSON {
	return dumpJSON{
		File: file, Size: st.Size, Memory: st.Memory, Pieces: st.Pieces, CPUs: st.CPUs, Minimal: st.Minimal, Instant: st.Instant,
		Torn: st.Torn, StoppedNS: st.Stopped.Nanoseconds(), TookNS: st.Took.Nanoseconds(), Notes: st.Notes,
	}
}

func dumpText(file string, st ukdbg.DumpStats) string {
	what := "of one instant"
	switch {
	case st.Torn != "":
		what = "not of one instant: " + st.Torn
	case !st.Instant && st.Minimal:
		what = "the guest ran on: threads, stacks and heap are of one moment, trace buffer and variables of a later one"
	case !st.Instant:
		what = "not of one instant: the guest ran on (--pause stops it)"
	}
	kind := "dump"
	if st.Minimal {
		kind = "minimal dump"
	}
	cpus := "1 CPU"
	if st.CPUs != 1 {
		cpus = fmt.Sprintf("%d CPUs", st.CPUs)
	}
	text := fmt.Sprintf("%s: %s, %s of %s of memory, %s, %.1f s · %s\n", asserts.Escape(file), kind,
		ukdbg.SizeText(uint64(st.Size)), ukdbg.SizeText(uint64(st.Memory)), cpus, st.Took.Seconds(), what)
	for _, n := range st.Notes {
		text += "note: " + asserts.Escape(n) + "\n"
	}
	return text
}
