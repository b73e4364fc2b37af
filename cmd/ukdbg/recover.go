package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/guard"
)

func newRecover(e env) *cobra.Command {
	var asJSON bool
	var monitor string
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Give back guests whose ukdbg and guard were both killed",
		Long: `recover finishes the work of sessions that could not: it reads their journals,
takes out what they left in the guest and restores the run state they found.
The next attach to the same guest does so too.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return recoverGuests(cmd.Context(), e, monitor, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&monitor, "monitor", "", "a monitor socket of the VMM, where none is found")
	return cmd
}

// recovered is one session of "recover --json": see docs/json.md.
type recovered struct {
	Target string `json:"target"`
	Verb   string `json:"verb"`
	PID    int    `json:"pid"`
	Done   bool   `json:"done"`
	How    string `json:"how,omitempty"`
	State  string `json:"state,omitempty"`
	Note   string `json:"note,omitempty"`
	Error  string `json:"error,omitempty"`
}

func recoverGuests(ctx context.Context, e env, monitor string, asJSON bool) error {
	reports := guard.Recover(ctx, guard.Options{State: guard.StateDir(e.getenv), Monitor: monitor})
	list := []recovered{}
	failed := 0
	for _, r := range reports {
		x := recovered{Target: r.Spec, Verb: r.Verb, PID: r.Client.PID, Done: r.Err == nil, How: r.How, Note: r.Note}
		switch {
		case r.Known && r.Running:
			x.State = "running"
		case r.Known:
			x.State = "paused"
		}
		if r.Err != nil {
			x.Error = r.Err.Error()
			failed++
		}
		list = append(list, x)
	}
	if asJSON {
		if err := printJSON(e, list); err != nil {
			return err
		}
	} else if err := writeRecovered(e.out, reports); err != nil {
		return err
	}
	if failed > 0 {
		return errors.Join(silentError{exitUnreachable})
	}
	return nil
}

func writeRecovered(w io.Writer, reports []guard.Report) error {
	if len(reports) == 0 {
		_, err := fmt.Fprintln(w, "nothing to recover: every session has left its guest")
		return err
	}
	for _, r := range reports {
		if _, err := fmt.Fprintln(w, r); err != nil {
			return err
		}
	}
	return nil
}
