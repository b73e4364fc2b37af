package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/profiler"
)

func newProfileDiff(e env) *cobra.Command {
	var asJSON bool
	var top int
	cmd := &cobra.Command{
		Use:   "diff BEFORE.pb.gz AFTER.pb.gz",
		Short: "Show what takes more, and what less, of the second profile",
		Long: `diff compares two profiles function by function, by the shares of the whole, so
that they need not be of one length. BY CHANCE is how probable a difference of CUM
as large is if nothing changed, from the numbers of samples.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("want two profiles")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := readProfile(args[0])
			if err != nil {
				return err
			}
			after, err := readProfile(args[1])
			if err != nil {
				return err
			}
			if before.Kind != after.Kind {
				return usageError{fmt.Errorf("%s is a profile of kind %s, %s of kind %s: compare two of one kind", args[0], before.Kind, args[1], after.Kind)}
			}
			changes := profiler.Diff(before, after)
			if !asJSON {
				ukdbg.WriteProfileDiff(e.out, changes, top)
				return nil
			}
			type row struct {
				Function string     `json:"function"`
				Flat     [2]float64 `json:"flat"`
				Cum      [2]float64 `json:"cum"`
				Chance   float64    `json:"chance"`
			}
			rows := []row{}
			for _, c := range changes[:min(top, len(changes))] {
				rows = append(rows, row{c.Name, c.Flat, c.Cum, c.P})
			}
			return printJSON(e, rows)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON: docs/json.md")
	cmd.Flags().IntVar(&top, "top", 20, "functions to show")
	return cmd
}

func readProfile(path string) (*profiler.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := pprof.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
