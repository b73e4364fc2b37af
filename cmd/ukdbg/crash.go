package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
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
lines.`,
		Args: exactArgs("a log file, - or a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if watch.on {
				return crashWatch(cmd.Context(), e, &flags, &watch, args[0])
			}
			return crash(cmd.Context(), e, &flags, args[0])
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	watch.add(cmd)
	cmd.Flags().BoolVar(&flags.noConsole, "no-console", false, "leave out what the guest's console ring says: the machine alone tells")
	return cmd
}

// crashFlags are the flags of the verb.
type crashFlags struct {
	targetFlags
	noConsole bool
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
	in := e.in
	if what != "-" && isBundle(spec.Addr) {
		return crashBundle(ctx, e, flags, spec.Addr)
	}
	if what != "-" {
		if isDump(spec.Addr) || flags.dump.raw() || strings.HasPrefix(what, string(target.Core)+":") {
			return once(ctx, e, &flags.targetFlags, what, func(ctx context.Context, s *ukdbg.Session) error {
				return crashOf(ctx, e, flags, s)
			})
		}
		f, err := os.Open(spec.Addr)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return crashLog(ctx, e, flags, in)
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
	rep, err := explain(ctx, flags, s)
	if ukdbg.IsNoFault(err) {
		if flags.json {
			return printJSON(e, faultsJSON{Faults: []faultJSON{}})
		}
		fmt.Fprintln(e.out, "no fault: the guest is stopped in ordinary code")
		return nil
	}
	if err != nil {
		return err
	}
	if flags.json {
		f, err := faultOf(rep)
		if err != nil {
			return err
		}
		return printJSON(e, faultsJSON{Faults: []faultJSON{f}})
	}
	_, err = fmt.Fprint(e.out, rep.Text)
	return err
}

// explain asks the machine, and what the guest printed unless that is not wanted.
func explain(ctx context.Context, flags *crashFlags, s *ukdbg.Session) (ukdbg.FaultReport, error) {
	switch {
	case flags.noConsole:
		return s.MachineFault(ctx)
	case flags.dump.log == "":
		return s.Fault(ctx)
	}
	f, err := os.Open(flags.dump.log)
	if err != nil {
		return ukdbg.FaultReport{}, err
	}
	defer f.Close()
	rep, err := s.JoinFault(ctx, f)
	if errors.Is(err, ukdbg.ErrNoReport) {
		return s.Fault(ctx)
	}
	return rep, err
}

// crashLog explains every fault in a console log.
func crashLog(ctx context.Context, e env, flags *crashFlags, in io.Reader) error {
	s, err := flags.openImage(ctx, e)
	if err != nil {
		return err
	}
	out := faultsJSON{Faults: []faultJSON{}}
	err = s.ReadLog(ctx, in, func(rep ukdbg.FaultReport) error {
		if flags.json {
			f, err := faultOf(rep)
			out.Faults = append(out.Faults, f)
			return err
		}
		if len(out.Faults) > 0 {
			fmt.Fprintln(e.out)
		}
		out.Faults = append(out.Faults, nil)
		_, err := fmt.Fprint(e.out, rep.Text)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	if flags.json {
		return printJSON(e, out)
	}
	if len(out.Faults) == 0 {
		fmt.Fprintln(e.out, "no fault report in this log")
	}
	return nil
}
