package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// symbolizeFlags are what the verb was told.
type symbolizeFlags struct {
	image, slide, style                  string
	json, call                           bool
	functions, inlines, basenames, addrs bool
	demangle                             bool
	debug                                debugFlags
}

func newSymbolize(e env) *cobra.Command {
	var f symbolizeFlags
	cmd := &cobra.Command{
		Use:   "symbolize -e NAME.dbg [ADDRESS...]",
		Short: "Name code addresses: function, inlined calls, file and line",
		Long: `symbolize names the addresses given as arguments, or each one read from stdin, a
line each (hexadecimal, with or without 0x). Answers come in the order of the
addresses, each as soon as it can; many addresses use all processors.

--output-style llvm and gnu print what llvm-symbolizer and addr2line print: the
first with functions and inlined calls, the second with them only if asked for.
With --output-style json, or --json, it is one object a line.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.json {
				f.style = "json"
			}
			// addr2line does none of these unless told.
			for name, v := range map[string]*bool{"functions": &f.functions, "inlines": &f.inlines, "demangle": &f.demangle} {
				if !cmd.Flags().Changed(name) {
					*v = f.style != "gnu"
				}
			}
			return f.run(cmd.Context(), e, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.image, "elf", "e", "", "the image with debug information (NAME.dbg)")
	f.debug.add(flags)
	flags.StringVar(&f.slide, "slide", "0", "run-time minus link-time address")
	flags.StringVar(&f.style, "output-style", "text", "text, llvm, gnu or json")
	flags.BoolVar(&f.json, "json", false, "print JSON lines")
	flags.BoolVar(&f.call, "return-addresses", false, "the addresses are return addresses: name the calls before them")
	flags.BoolVarP(&f.functions, "functions", "f", true, "print names of functions; in gnu style only if given")
	flags.BoolVarP(&f.inlines, "inlines", "i", true, "print inlined calls; in gnu style only if given")
	flags.BoolVarP(&f.demangle, "demangle", "C", true, "print C++ and Rust names as in the source (llvm, gnu); in gnu style only if given")
	flags.BoolVarP(&f.addrs, "addresses", "a", false, "print each address first (llvm, gnu)")
	flags.BoolVarP(&f.basenames, "basenames", "s", false, "print no directories of files")
	return cmd
}

func (f *symbolizeFlags) run(ctx context.Context, e env, args []string) error {
	if f.image == "" {
		return usageError{ukdbg.ErrNoImage}
	}
	slide, err := parseAddress(f.slide)
	if err != nil {
		return usageError{fmt.Errorf("--slide: %w", err)}
	}
	style, err := newAnswerStyle(f)
	if err != nil {
		return usageError{err}
	}
	find, err := f.debug.finder(e)
	if err != nil {
		return err
	}
	im, err := symbolizer.OpenWith(ctx, f.image, symbolizer.OpenOptions{Debug: find})
	if err != nil {
		return usageError{err}
	}
	defer im.Close()
	if err := im.MissingDebug(); err != nil {
		fmt.Fprintf(e.err, "ukdbg: %v\n", err)
	}
	if f.call {
		slide++
	}
	// Unlike other verbs this one may run for long and through big images, where
	// collecting costs nothing that can be measured and saves a tenth of the memory.
	debug.SetGCPercent(100)
	s := &answering{im: im, style: style, sub: slide, out: e.out, err: e.err}
	if len(args) > 0 {
		queries := make([]query, len(args))
		for i, a := range args {
			queries[i] = parseQuery([]byte(a))
		}
		err = s.answer(queries)
	} else {
		err = s.stream(e.in)
	}
	if err != nil {
		return err
	}
	for _, missing := range im.MissingSplit() {
		fmt.Fprintf(e.err, "ukdbg: %v\n", missing)
	}
	if s.bad > 0 {
		return silentError{exitFailed}
	}
	return nil
}

// query is one address asked for, or the text that is none.
type query struct {
	addr uint64
	bad  string
}

func parseQuery(text []byte) query {
	digits := bytes.TrimPrefix(bytes.TrimPrefix(bytes.TrimSpace(text), []byte("0x")), []byte("0X"))
	addr, ok := uint64(0), len(digits) > 0 && len(digits) <= 16
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			ok = false
		}
		addr = addr<<4 | uint64(c)
	}
	if !ok {
		return query{bad: string(text)}
	}
	return query{addr: addr}
}

func parseAddress(text string) (uint64, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "0x"), "0X")
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no hexadecimal address", text)
	}
	return v, nil
}

// answering turns queries into text.
type answering struct {
	im    *symbolizer.Image
	style answerStyle
	// sub is taken off an address to have that of the image.
	sub      uint64
	out, err io.Writer
	bad      int // queries that were no address

	// texts holds what each worker wrote, and pieces where each answer is.
	texts  [][]byte
	pieces []piece
}

// piece is where one answer is: texts[worker][from:to].
type piece struct{ worker, from, to int }

// answer writes the answers to queries, in order.
func (s *answering) answer(queries []query) error {
	addrs := make([]uint64, 0, len(queries))
	for i := range queries {
		if queries[i].bad == "" {
			addrs = append(addrs, queries[i].addr-s.sub)
		}
	}
	s.texts = append(s.texts, make([][]byte, max(0, symbolizer.Workers()-len(s.texts)))...)
	for w := range s.texts {
		s.texts[w] = s.texts[w][:0]
	}
	if len(s.pieces) < len(addrs) {
		s.pieces = make([]piece, len(addrs))
	}
	opt := symbolizer.ResolveOptions{LastRow: s.style.lastRow()}
	s.im.ResolveEach(addrs, opt, func(w, i int, locs []symbolizer.Location, err error) {
		from := len(s.texts[w])
		s.texts[w] = s.style.append(s.texts[w], s.im, addrs[i]+s.sub, locs, err)
		s.pieces[i] = piece{w, from, len(s.texts[w])}
	})
	var all []byte
	next := 0
	for i := range queries {
		if bad := queries[i].bad; bad != "" {
			s.bad++
			all = s.style.appendBad(all, bad)
			fmt.Fprintf(s.err, "ukdbg: %q is no hexadecimal address\n", bad)
		} else {
			p := s.pieces[next]
			all = append(all, s.texts[p.worker][p.from:p.to]...)
			next++
		}
		if len(all) >= 256<<10 || i == len(queries)-1 {
			if _, err := s.out.Write(all); err != nil {
				return err
			}
			all = all[:0]
		}
	}
	return nil
}

// reason says why an address has no name.
func reason(err error) string {
	var none *symbolizer.NoSymbol
	if errors.As(err, &none) {
		return none.Reason.String()
	}
	return err.Error()
}
