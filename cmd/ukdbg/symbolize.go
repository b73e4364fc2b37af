package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/repl"
	"github.com/ukdbg/ukdbg/symbolizer"
)

func newSymbolize(e env) *cobra.Command {
	var image, slide string
	var asJSON, call bool
	var debug debugFlags
	cmd := &cobra.Command{
		Use:   "symbolize -e NAME.dbg [ADDRESS...]",
		Short: "Name code addresses: function, inlined calls, file and line",
		Long: `symbolize names the addresses given as arguments, or each one read from stdin, a
line each (hexadecimal, with or without 0x). With --json it prints one object a
line.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return symbolize(cmd.Context(), e, image, &debug, slide, args, asJSON, call)
		},
	}
	cmd.Flags().StringVarP(&image, "elf", "e", "", "the image with debug information (NAME.dbg)")
	debug.add(cmd.Flags())
	cmd.Flags().StringVar(&slide, "slide", "0", "run-time minus link-time address")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.Flags().BoolVar(&call, "return-addresses", false, "the addresses are return addresses: name the calls before them")
	return cmd
}

// symbolJSON is the answer for one address: docs/json.md.
type symbolJSON struct {
	Address string      `json:"address"`
	Frames  []frameLine `json:"frames"`
	Reason  string      `json:"reason,omitempty"`
}

type frameLine struct {
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Inline   bool   `json:"inline,omitempty"`
}

func symbolize(ctx context.Context, e env, path string, debug *debugFlags, slideText string, args []string, asJSON, call bool) error {
	if path == "" {
		return usageError{ukdbg.ErrNoImage}
	}
	slide, err := parseAddress(slideText)
	if err != nil {
		return usageError{fmt.Errorf("--slide: %w", err)}
	}
	find, err := debug.finder(e)
	if err != nil {
		return err
	}
	im, err := symbolizer.OpenWith(ctx, path, symbolizer.OpenOptions{Debug: find})
	if err != nil {
		return usageError{err}
	}
	defer im.Close()
	if err := im.MissingDebug(); err != nil {
		fmt.Fprintf(e.err, "ukdbg: %v\n", err)
	}
	out := bufio.NewWriter(e.out)
	enc := json.NewEncoder(out)
	bad := 0
	one := func(text string) error {
		addr, err := parseAddress(text)
		if err != nil {
			bad++
			fmt.Fprintf(e.err, "ukdbg: %v\n", err)
			return nil
		}
		at := addr - slide
		if call {
			at--
		}
		locs, err := im.Resolve(at)
		if asJSON {
			return enc.Encode(symbolAnswer(addr, locs, err))
		}
		return writeSymbol(out, addr, locs, err)
	}
	for _, a := range args {
		if err := one(a); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		in := bufio.NewScanner(e.in)
		for in.Scan() {
			if text := strings.TrimSpace(in.Text()); text != "" {
				if err := one(text); err != nil {
					return err
				}
			}
			// Somebody may wait for each answer at the other end of the pipe.
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if err := in.Err(); err != nil {
			return fmt.Errorf("reading addresses: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return silentError{exitFailed}
	}
	return nil
}

func parseAddress(text string) (uint64, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "0x"), "0X")
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no hexadecimal address", text)
	}
	return v, nil
}

func symbolAnswer(addr uint64, locs []symbolizer.Location, err error) symbolJSON {
	j := symbolJSON{Address: fmt.Sprintf("%#x", addr), Frames: []frameLine{}}
	for _, l := range locs {
		j.Frames = append(j.Frames, frameLine{l.Function, l.File, l.Line, l.Column, l.Inline})
	}
	if err != nil {
		j.Reason = err.Error()
		var none *symbolizer.NoSymbol
		if errors.As(err, &none) {
			j.Reason = none.Reason.String()
		}
	}
	return j
}

func writeSymbol(w *bufio.Writer, addr uint64, locs []symbolizer.Location, err error) error {
	if err != nil {
		_, werr := fmt.Fprintf(w, "%#x: ?? (%v)\n", addr, err)
		return werr
	}
	for i, l := range locs {
		lead := fmt.Sprintf("%#x:", addr)
		if i > 0 {
			lead = "  inlined by"
		}
		place := "no line: " + l.NoLine
		if l.File != "" {
			place = fmt.Sprintf("%s:%d", l.File, l.Line)
		}
		if _, err := fmt.Fprintf(w, "%s %s at %s\n", lead, repl.Printable(l.Function), repl.Printable(place)); err != nil {
			return err
		}
	}
	return nil
}
