package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
)

// symbolizeFlags are what the verb was told.
type symbolizeFlags struct {
	images                               []string
	slide, style                         string
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
With --output-style json, or --json, it is one object a line.

Several images may be given, each with a slide of its own (-e FILE@0xSLIDE), as in a
guest that loaded programs: an address belongs to the first one it is in.`,
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
	flags.StringArrayVarP(&f.images, "elf", "e", nil, "the image with debug information (NAME.dbg), and @0xSLIDE if it has a slide of its own (may be repeated)")
	f.debug.add(flags)
	flags.StringVar(&f.slide, "slide", "0", "run-time minus link-time address, of images without one of their own")
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
	if len(f.images) == 0 {
		return usageError{ukdbg.ErrNoImage}
	}
	style, err := newAnswerStyle(f)
	if err != nil {
		return usageError{err}
	}
	find, err := f.debug.finder(e)
	if err != nil {
		return err
	}
	s := &answering{style: style, out: e.out, err: e.err}
	defer s.close()
	for _, name := range f.images {
		m, err := f.open(ctx, name, find)
		if err != nil {
			return usageError{err}
		}
		s.maps = append(s.maps, m)
		if err := m.Image.MissingDebug(); err != nil {
			fmt.Fprintf(e.err, "ukdbg: %v\n", err)
		}
	}
	// Unlike other verbs this one may run for long and through big images, where
	// collecting costs nothing that can be measured and saves a tenth of the memory.
	debug.SetGCPercent(100)
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
	for _, m := range s.maps {
		for _, missing := range m.Image.MissingSplit() {
			fmt.Fprintf(e.err, "ukdbg: %v\n", missing)
		}
	}
	if s.bad > 0 {
		return silentError{exitFailed}
	}
	return nil
}

// open opens an image, with the slide it is to have.
func (f *symbolizeFlags) open(ctx context.Context, name string, find *debugfile.Finder) (symbolizer.Mapping, error) {
	text, where := f.slide, "--slide"
	if i := strings.LastIndex(name, "@0x"); i > 0 {
		if _, err := os.Stat(name); err != nil { // a file may be called so
			name, text, where = name[:i], name[i+1:], "-e "+name
		}
	}
	slide, err := parseAddress(text)
	if err != nil {
		return symbolizer.Mapping{}, fmt.Errorf("%s: %w", where, err)
	}
	if f.call {
		slide++
	}
	im, err := symbolizer.OpenWith(ctx, name, symbolizer.OpenOptions{Debug: find})
	return symbolizer.Mapping{Image: im, Slide: slide}, err
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
	// maps are the images, by how much is taken off an address to have that of each.
	maps     symbolizer.Mappings
	style    answerStyle
	out, err io.Writer
	bad      int // queries that were no address

	// texts holds what each worker wrote, and pieces where each answer is.
	texts  [][]byte
	pieces []piece
}

// piece is where one answer is: texts[worker][from:to].
type piece struct{ worker, from, to int }

func (s *answering) close() {
	for _, m := range s.maps {
		_ = m.Image.Close() // only read
	}
}

// resolve makes the answers for the addresses, of the image each is in, or of the first
// one.
func (s *answering) resolve(addrs []uint64) {
	opt := symbolizer.ResolveOptions{LastRow: s.style.lastRow()}
	of := make([][]int, len(s.maps)) // indices of addrs
	for i, a := range addrs {
		k := 0
		if len(s.maps) > 1 {
			k = max(0, slices.IndexFunc(s.maps, func(m symbolizer.Mapping) bool { return m.Contains(a) }))
		}
		of[k] = append(of[k], i)
	}
	for k, m := range s.maps {
		link := make([]uint64, len(of[k]))
		for n, i := range of[k] {
			link[n] = m.Link(addrs[i])
		}
		m.Image.ResolveEach(link, opt, func(w, n int, locs []symbolizer.Location, err error) {
			i, from := of[k][n], len(s.texts[w])
			s.texts[w] = s.style.append(s.texts[w], m.Image, addrs[i], locs, err)
			s.pieces[i] = piece{w, from, len(s.texts[w])}
		})
	}
}

// answer writes the answers to queries, in order.
func (s *answering) answer(queries []query) error {
	addrs := make([]uint64, 0, len(queries))
	for i := range queries {
		if queries[i].bad == "" {
			addrs = append(addrs, queries[i].addr)
		}
	}
	s.texts = append(s.texts, make([][]byte, max(0, symbolizer.Workers()-len(s.texts)))...)
	for w := range s.texts {
		s.texts[w] = s.texts[w][:0]
	}
	if len(s.pieces) < len(addrs) {
		s.pieces = make([]piece, len(addrs))
	}
	s.resolve(addrs)
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
