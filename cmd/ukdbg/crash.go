package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/target"
)

func newCrash(e env) *cobra.Command {
	var flags crashFlags
	var watch watchFlags
	cmd := &cobra.Command{
		Use:   "crash WHAT -e NAME.dbg",
		Short: "Explain why a guest died: from its console log, or stopped in the crash",
		Long: `crash reads a console log (a file, or - for stdin), a memory dump, a bug bundle or a
live guest that stopped in its crash, and tells what went wrong, where, with source
lines. Logs may be as they come: with the prefixes of docker compose, kubectl, CRI,
journald, kraft or xl, of several guests, with several reports. With --follow it waits
for more (a log that is rotated or truncated is followed too), until ^C.`,
		Args: exactArgs("a log file, - or a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.sarif && (flags.follow || flags.json) {
				return usageError{errors.New("--sarif writes one file at the end: it goes neither with --follow nor with --json")}
			}
			if watch.on {
				return crashWatch(cmd.Context(), e, &flags, &watch, args[0])
			}
			return crash(cmd.Context(), e, &flags, args[0])
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	watch.add(cmd)
	cmd.Flags().BoolVar(&flags.sarif, "sarif", false, "write a SARIF 2.1.0 log")
	cmd.Flags().BoolVar(&flags.follow, "follow", false, "wait for more at the end of the log; with --json each fault is a line")
	cmd.Flags().BoolVar(&flags.noConsole, "no-console", false, "leave out what the guest's console says, in its ring or in the VMM's file: the machine alone tells")
	return cmd
}

// crashFlags are the flags of the verb.
type crashFlags struct {
	targetFlags
	noConsole bool
	sarif     bool
	follow    bool
}

// faultsJSON is the answer of crash: docs/json.md.
type faultsJSON struct {
	Faults []faultJSON `json:"faults"`
}

// faultJSON is a fault with what the image tells about it.
type faultJSON map[string]json.RawMessage

func faultOf(rep ukdbg.FaultReport) (faultJSON, error) {
	raw, err := json.Marshal(rep.Fault)
	if err != nil {
		return nil, err
	}
	var out faultJSON
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, err
	}
	if out["functions"], err = json.Marshal(append([]string{}, rep.Functions...)); err != nil {
		return nil, err
	}
	if out["fingerprint"], err = json.Marshal(rep.Fault.Fingerprint(rep.Functions)); err != nil {
		return nil, err
	}
	stack := make([]stackFrameJSON, 0, len(rep.Stack))
	for _, fr := range rep.Stack {
		j := stackFrameJSON{PC: fmt.Sprintf("%#x", fr.PC), Function: fr.Function, File: fr.File, Line: fr.Line, Inline: fr.Inline, Source: []sourceLineJSON{}}
		for _, l := range fr.Source {
			j.Source = append(j.Source, sourceLineJSON{l.Number, l.Text})
		}
		stack = append(stack, j)
	}
	out["stack"], err = json.Marshal(stack)
	return out, err
}

type stackFrameJSON struct {
	PC       string           `json:"pc"`
	Function string           `json:"function"`
	File     string           `json:"file,omitempty"`
	Line     int              `json:"line,omitempty"`
	Inline   bool             `json:"inline"`
	Source   []sourceLineJSON `json:"source"`
}

type sourceLineJSON struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

func crash(ctx context.Context, e env, flags *crashFlags, what string) error {
	spec, err := target.ParseSpec(what)
	isFile := err == nil && spec.Scheme == target.Core
	if what != "-" && !isFile {
		return once(ctx, e, &flags.targetFlags, what, func(ctx context.Context, s *ukdbg.Session) error {
			return crashOf(ctx, e, flags, s)
		})
	}
	if what == "-" {
		return crashLog(ctx, e, flags, e.in, "")
	}
	if isBundle(spec.Addr) {
		return crashBundle(ctx, e, flags, spec.Addr)
	}
	if isDump(spec.Addr) || flags.dump.raw() || strings.HasPrefix(what, string(target.Core)+":") {
		return once(ctx, e, &flags.targetFlags, what, func(ctx context.Context, s *ukdbg.Session) error {
			return crashOf(ctx, e, flags, s)
		})
	}
	in, err := openLog(ctx, flags, spec.Addr)
	if err != nil {
		return err
	}
	defer in.Close()
	return crashLog(ctx, e, flags, in, spec.Addr)
}

func openLog(ctx context.Context, flags *crashFlags, path string) (io.ReadCloser, error) {
	if flags.follow {
		return asserts.Follow(ctx, path)
	}
	return os.Open(path)
}

// isDump reports whether a file is a memory dump and no console log.
func isDump(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	st, err := f.Stat()
	return err == nil && (ukdbg.IsDump(head[:n]) || ukdbg.LooksLikeRAM(head[:n], st.Size()))
}

// crashOf explains the crash a target is stopped in.
func crashOf(ctx context.Context, e env, flags *crashFlags, s *ukdbg.Session) error {
	out := flags.output(e, noFault, "")
	rep, err := explain(ctx, e, flags, s)
	if err == nil {
		err = out.fault(rep)
	}
	if err != nil && !ukdbg.IsNoFault(err) {
		return err
	}
	return out.end()
}

// noFault says that the guest is in no crash; it may run, or be a dump.
const noFault = "no fault: the guest is in ordinary code"

// explain asks the machine, and what the guest printed unless that is not wanted.
func explain(ctx context.Context, e env, flags *crashFlags, s *ukdbg.Session) (ukdbg.FaultReport, error) {
	if flags.noConsole {
		return s.MachineFault(ctx)
	}
	return faultWithLog(ctx, e, s, flags.dump.log)
}

// faultWithLog asks the machine and what the guest printed: what its console says, or
// the log where one is given.
func faultWithLog(ctx context.Context, e env, s *ukdbg.Session, log string) (ukdbg.FaultReport, error) {
	if log == "" {
		rep, err := s.Fault(ctx)
		if err == nil && rep.Fault.Source.Format == asserts.MachineFormat {
			rep = withConsole(ctx, e, s, rep)
		}
		return rep, err
	}
	f, err := os.Open(log)
	if err != nil {
		return ukdbg.FaultReport{}, err
	}
	defer f.Close()
	rep, err := s.JoinFault(ctx, f)
	if errors.Is(err, ukdbg.ErrNoReport) {
		fmt.Fprintln(e.err, "the log holds no report of a fault: the machine alone tells")
		return s.Fault(ctx)
	}
	return rep, err
}

// logQuiet is how long a followed log must be silent for a report to be
// complete.
const logQuiet = time.Second

// crashLog explains every fault in a console log.
func crashLog(ctx context.Context, e env, flags *crashFlags, in io.Reader, path string) error {
	s, err := flags.openImage(ctx, e)
	if err != nil {
		return err
	}
	if flags.follow {
		in = asserts.QuietAfter(ctx, in, logQuiet)
	}
	out := flags.output(e, "no fault report in this log", path)
	err = s.ReadLog(ctx, in, out.fault)
	if err != nil {
		err = fmt.Errorf("reading the log: %w", err)
	}
	return errors.Join(err, out.end())
}
