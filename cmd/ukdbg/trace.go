package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/filter"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

func newTrace(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Read, record and analyse the guest's traces",
		Long: `trace reads the guest's trace buffer and tells what it means. Each verb but record
takes a TARGET (a live guest or a dump, with -e) or a FILE: a recording, a raw trace
buffer with -e, or a file that upstream's trace.py fetched; "-" is stdin.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("no verb \"trace %s\"", args[0])}
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(
		newTraceList(e), newTraceSummary(e), newTraceSpans(e), newTraceHist(e), newTraceTree(e), newTraceDiff(e),
		newTraceTop(e), newTraceWaits(e), newTraceLocks(e), newTraceAllocs(e), newTraceExport(e), newTraceInfo(e),
		newTraceRecord(e), newTraceMerge(e), newTracePoints(e), newTraceEnable(e), newTraceDisable(e),
	)
	return cmd
}

// traceFlags choose where traces come from, which records are meant and how the
// answer looks.
type traceFlags struct {
	targetFlags
	raw            bool
	from, to       string
	names, threads []string
	cpus           []int
	where          string
	sample         uint64
	form           string
}

// addInput adds what says where traces come from.
func (f *traceFlags) addInput(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().BoolVar(&f.raw, "raw", false, "the FILE is the bytes of a trace buffer, whatever it begins with")
}

// addQuery adds what chooses records.
func (f *traceFlags) addQuery(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.from, "since", "", "from this time on: 1.5s after boot, +200ms after the first record, or RFC 3339")
	fl.StringVar(&f.to, "until", "", "up to this time")
	fl.StringArrayVarP(&f.names, "name", "n", nil, "only names like this, with * and ?; may be repeated")
	fl.StringArrayVar(&f.threads, "thread", nil, "only threads named like this, with * and ?")
	fl.IntSliceVar(&f.cpus, "cpu", nil, "only these processors")
	fl.StringVarP(&f.where, "where", "w", "", `only where this holds: 'size>4096 && path~"/tmp"' (see docs/trace.md)`)
	fl.Uint64Var(&f.sample, "sample", 0, "only one of N of what is chosen")
}

// addForm adds what says how the answer looks.
func (f *traceFlags) addForm(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.form, "format", "table", "table, json (one object a line) or csv")
	cmd.Flags().BoolVar(&f.json, "json", false, "the same as --format json")
}

// checkForm settles the two ways to ask for JSON.
func (f *traceFlags) checkForm() error {
	if f.json {
		f.form = "json"
	}
	switch f.form {
	case "table", "json", "csv":
		f.json = f.form == "json"
		return nil
	}
	return usageError{fmt.Errorf("--format %q: table, json or csv", f.form)}
}

// query is what the flags choose.
func (f *traceFlags) query() (*analysis.Query, error) {
	q := &analysis.Query{Names: f.names, Threads: f.threads, CPUs: f.cpus, Sample: f.sample}
	var err error
	if q.From, err = moment(f.from); err != nil {
		return nil, usageError{fmt.Errorf("--since %w", err)}
	}
	if q.To, err = moment(f.to); err != nil {
		return nil, usageError{fmt.Errorf("--until %w", err)}
	}
	if q.Where, err = filter.Parse(f.where); err != nil {
		return nil, usageError{err}
	}
	return q, nil
}

// moment reads a time: after boot, after the first record (+), or of day.
func moment(text string) (analysis.Moment, error) {
	if text == "" {
		return analysis.Moment{}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return analysis.Moment{Set: true, Unix: at.UnixNano()}, nil
	}
	digits, relative := strings.CutPrefix(text, "+")
	d, err := time.ParseDuration(digits)
	if err != nil || d < 0 {
		return analysis.Moment{}, fmt.Errorf("%q: want a time like 1.5s, +200ms or 2026-01-02T15:04:05Z", text)
	}
	return analysis.Moment{Set: true, Guest: uint64(d), Relative: relative}, nil
}

// traces are the inputs of a verb.
type traces struct {
	// snapshot is what a target gave, nil for files.
	snapshot *ukdbg.Trace
	opens    []func() (stream.Source, error)
	closers  []func() error
	// Kinds say what each input is.
	kinds []string
}

// open reads targets and opens files. A guest is given back before this returns:
// what follows, a slow receiver or reader among it, must not keep it stopped.
func (f *traceFlags) open(ctx context.Context, e env, args []string) (*traces, error) {
	t := &traces{}
	for _, arg := range args {
		if f.raw || ukdbg.IsTraceFile(arg) {
			if err := t.addFile(e, f, arg); err != nil {
				return nil, errors.Join(err, t.close())
			}
			continue
		}
		var snap *ukdbg.Trace
		err := once(ctx, e, &f.targetFlags, arg, func(ctx context.Context, s *ukdbg.Session) (err error) {
			snap, err = s.Trace(ctx)
			return err
		})
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		t.snapshot = snap
		t.kinds = append(t.kinds, "trace buffer")
		t.opens = append(t.opens, func() (stream.Source, error) { return snap.Source(), nil })
	}
	if len(args) > 1 {
		t.snapshot = nil
	}
	return t, nil
}

// addFile opens a file now, so that a wrong one is told at once, and again for
// each reading after the first.
func (t *traces) addFile(e env, f *traceFlags, path string) error {
	first, err := ukdbg.OpenTraceFile(path, f.image, e.in, f.raw)
	if err != nil {
		return err
	}
	t.kinds = append(t.kinds, first.Kind)
	t.closers = append(t.closers, first.Close)
	used := false
	t.opens = append(t.opens, func() (stream.Source, error) {
		if !used {
			used = true
			return first.Source, nil
		}
		if path == "-" {
			return nil, errors.New("this needs to read the trace twice: write it to a file first")
		}
		again, err := ukdbg.OpenTraceFile(path, f.image, e.in, f.raw)
		if err != nil {
			return nil, err
		}
		t.closers = append(t.closers, again.Close)
		return again.Source, nil
	})
	return nil
}

// sources begins a reading.
func (t *traces) sources() ([]stream.Source, error) {
	var out []stream.Source
	for _, open := range t.opens {
		src, err := open()
		if err != nil {
			return nil, err
		}
		out = append(out, src)
	}
	return out, nil
}

func (t *traces) close() error {
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c())
	}
	t.closers = nil
	return errors.Join(errs...)
}

// analyse runs a query over the inputs of a verb and gives f what was met.
func (f *traceFlags) analyse(ctx context.Context, e env, args []string, v analysis.Visitor, answer func(*traces, *analysis.Totals) error) error {
	return f.read(ctx, e, args, func(q *analysis.Query, t *traces, sources []stream.Source) error {
		totals, err := q.Run(sources, v)
		if err != nil {
			return err
		}
		return answer(t, totals)
	})
}

// read opens the inputs of a verb, begins a reading and gives do all it needs.
func (f *traceFlags) read(ctx context.Context, e env, args []string, do func(*analysis.Query, *traces, []stream.Source) error) (err error) {
	if err := f.checkForm(); err != nil {
		return err
	}
	q, err := f.query()
	if err != nil {
		return err
	}
	t, err := f.open(ctx, e, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	sources, err := t.sources()
	if err != nil {
		return err
	}
	return do(q, t, sources)
}

// someArgs wants at least one argument.
func someArgs(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return usageError{fmt.Errorf("want %s", what)}
	}
}
