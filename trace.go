package ukdbg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// Trace is the contents of a guest's trace buffer at one moment.
type Trace struct {
	Definitions *tracebuf.Definitions
	Snapshot    *tracebuf.Snapshot
	// Slide is run-time minus link-time address of the records' cookies.
	Slide uint64
	// Taken is when the snapshot was read, by the host's clock.
	Taken time.Time
	// switchTo and switchFrom tell from a record which thread runs from it on
	// and which ran up to it, nil if the image has no tracepoint of its
	// scheduler.
	switchTo, switchFrom func(*tracebuf.Record) (string, bool)
}

// The sections of a .dbg file that describe a trace buffer.
const (
	definitionsSection = ".uk_tracepoints_list"
	keyvalsSection     = ".uk_trace_keyvals"
)

// Trace reads the trace buffer. The guest's buffer is not changed.
func (s *Session) Trace(ctx context.Context) (*Trace, error) {
	if s.kernel == nil {
		return nil, fmt.Errorf("trace buffer: %s", s.noKernel)
	}
	loc, err := s.kernel.TraceBuffer()
	if err != nil {
		return nil, err
	}
	section, err := s.image.SectionData(definitionsSection)
	if err != nil {
		return nil, fmt.Errorf("%s: section %s: %w", s.opt.Image, definitionsSection, err)
	}
	defs, err := tracebuf.ParseDefinitions(section)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.opt.Image, err)
	}
	keyvals, err := tracebuf.ParseKeyVals(s.image.Section(keyvalsSection))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.opt.Image, err)
	}
	if err := keyvals.CheckVersion(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.opt.Image, err)
	}
	snap, err := tracebuf.Read(ctx, s.mem, loc)
	if err != nil {
		return nil, err
	}
	t := &Trace{Definitions: defs, Snapshot: snap, Slide: s.mapping.Slide, Taken: time.Now()}
	if slide, ok := tracebuf.InferSlide(snap.Data, defs); ok {
		t.Slide = slide
	}
	t.switchFrom, t.switchTo = s.switches(ctx, defs)
	return t, nil
}

// switchPoint is the tracepoint by which a scheduler tells who leaves, in its
// first argument, and who runs next, in its second.
const switchPoint = "sched_switch"

// switches tells from records which thread leaves and which runs from them on,
// if the image traces its scheduler.
func (s *Session) switches(ctx context.Context, defs *tracebuf.Definitions) (from, to func(*tracebuf.Record) (string, bool)) {
	if d := defs.ByName(switchPoint); d == nil || len(d.Args) < 2 {
		return nil, nil
	}
	names := map[uint64]string{}
	if threads, err := s.Threads(ctx); err == nil {
		for _, t := range threads {
			names[t.Addr] = t.Name
		}
	}
	name := func(addr uint64) string { return names[addr] }
	return tracebuf.SwitchBy(switchPoint, 0, name), tracebuf.SwitchBy(switchPoint, 1, name)
}

// TraceRecord is one record made ready for people.
type TraceRecord struct {
	// Time is in nanoseconds since the guest's boot.
	Time       uint64
	Name, Text string
	Args       []any
	// Thread is who recorded it, "" if the trace does not tell.
	Thread string
	// Problem says why these bytes are no record, "" if they are one.
	Problem string
	// Offset is where they lie in the buffer.
	Offset uint64
}

// Each calls f for the last n records, 0 for all, in the order of the buffer.
func (t *Trace) Each(n int, f func(TraceRecord) error) error {
	skip := 0
	if n > 0 {
		sc := t.scanner()
		total := 0
		for sc.Scan() {
			total++
		}
		skip = max(0, total-n)
	}
	// The pairer follows the scheduler's switches, on all processors.
	p := t.pairer()
	sc := t.scanner()
	for i := 0; sc.Scan(); i++ {
		rec := sc.Record()
		p.Add(rec)
		if i < skip {
			continue
		}
		out := TraceRecord{Time: rec.Time, Offset: uint64(rec.Offset)}
		if rec.Problem != tracebuf.Good {
			out.Problem = rec.Problem.String()
		} else {
			out.Name, out.Text, out.Args, out.Thread = rec.Def.Name, rec.Text(), arguments(rec), p.Thread()
		}
		if err := f(out); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trace) pairer() *tracebuf.Pairer {
	p := tracebuf.NewPairer(t.Definitions)
	p.ThreadOf, p.LeaverOf = t.switchTo, t.switchFrom
	return p
}

func (t *Trace) scanner() *tracebuf.Scanner {
	return tracebuf.NewScanner(t.Snapshot.Data, t.Definitions, t.Slide)
}

// arguments decodes a record's arguments: int64, uint64 or string.
func arguments(rec *tracebuf.Record) []any {
	out := make([]any, 0, len(rec.Def.Args))
	for i, a := range rec.Def.Args {
		switch {
		case a.Type == tracebuf.ArgString:
			out = append(out, rec.String(i))
		case rec.Signed(i):
			out = append(out, rec.Int(i))
		default:
			out = append(out, rec.Uint(i))
		}
	}
	return out
}

// WriteTrace lists the last n records, 0 for all, for people.
func WriteTrace(w io.Writer, t *Trace, n int) {
	out := bufio.NewWriter(w)
	err := t.Each(n, func(r TraceRecord) error {
		var err error
		if r.Problem != "" {
			_, err = fmt.Fprintf(out, "%16s  at offset %d: %s\n", "-", r.Offset, r.Problem)
		} else {
			_, err = fmt.Fprintf(out, "%16.6f  %-12s %-22s %s\n", float64(r.Time)/1e9, escape(r.Thread), escape(r.Name), escape(strings.TrimRight(r.Text, "\n")))
		}
		return err
	})
	if err == nil {
		writeTraceState(out, t)
	}
	// An error of the writer is sticky and the writer's owner's to see.
	if out.Flush() != nil {
		return
	}
}

// writeTraceState tells how many records there are and what is lost.
func writeTraceState(w io.Writer, t *Trace) {
	sc := t.scanner()
	for sc.Scan() {
	}
	st, info := sc.Stats(), t.Snapshot.Info
	fmt.Fprintf(w, "%d records in %.3f s · buffer %d of %d bytes", st.Records, float64(st.Last-st.First)/1e9, info.Used, info.Size)
	if info.Full {
		fmt.Fprintf(w, " · FULL: nothing since %.6f s is recorded", float64(st.Last)/1e9)
	}
	if info.Overrun {
		fmt.Fprint(w, " · OVERRUN: the guest wrote past the end")
	}
	if info.Torn {
		fmt.Fprint(w, " · torn: the guest recorded meanwhile")
	}
	if st.Bad > 0 {
		fmt.Fprintf(w, " · %d bad stretches, %d bytes skipped", st.Bad, st.Skipped)
	}
	if st.Half {
		fmt.Fprint(w, " · the last record is half-written")
	}
	if t.Slide != 0 {
		fmt.Fprintf(w, " · slide %#x", t.Slide)
	}
	fmt.Fprintln(w)
}

// Spans pairs the records and calls f for each span, in the order of their
// ends. It returns what found no partner.
func (t *Trace) Spans(f func(*tracebuf.Span) error) (unmatched int, err error) {
	p := t.pairer()
	sc := t.scanner()
	for sc.Scan() {
		if span, ok := p.Add(sc.Record()); ok {
			if err := f(&span); err != nil {
				return 0, err
			}
		}
	}
	list, more := p.Unmatched()
	return len(list) + more, nil
}

// WriteTraceSummary counts and times the operations by name.
func WriteTraceSummary(w io.Writer, t *Trace) {
	sum := tracebuf.NewSummary()
	alone := map[string]int{}
	p := t.pairer()
	sc := t.scanner()
	for sc.Scan() {
		rec := sc.Record()
		if rec.Problem != tracebuf.Good {
			continue
		}
		if p.Instant(rec.Def) {
			sum.AddInstant(rec)
			if name := rec.Def.Name; strings.HasSuffix(name, "_ret") || strings.HasSuffix(name, "_err") {
				alone[name]++ // no tracepoint begins what it ends
			}
		}
		if span, ok := p.Add(rec); ok {
			sum.AddSpan(&span)
		}
	}
	list, more := p.Unmatched()
	for i := range list {
		alone[list[i].Record.Def.Name]++
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "NAME\tCOUNT\tERRORS\tMEAN\tMAX\tTOTAL\t\n")
	for _, r := range sum.Rows() {
		if r.Instant {
			fmt.Fprintf(tw, "%s\t%d\t-\t-\t-\t-\t\n", escape(r.Name), r.Count)
			continue
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\t%s\t%s\t\n", escape(r.Name), r.Count, r.Errors,
			nanos(r.Total/uint64(max(1, r.Count))), nanos(r.Max), nanos(r.Total))
	}
	if tw.Flush() != nil {
		return // the writer's owner sees it
	}
	writeUnmatched(w, alone, more)
	writeTraceState(w, t)
}

// writeUnmatched tells the records that begin or end something whose other half
// is not in the trace, by name; more are those that were not listed.
func writeUnmatched(w io.Writer, alone map[string]int, more int) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(alone)) {
		parts = append(parts, fmt.Sprintf("%s ×%d", escape(name), alone[name]))
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "without their other half: %s\n", strings.Join(parts, ", "))
	}
}

func nanos(ns uint64) string {
	switch {
	case ns >= 1e9:
		return fmt.Sprintf("%.2f s", float64(ns)/1e9)
	case ns >= 1e6:
		return fmt.Sprintf("%.2f ms", float64(ns)/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
	}
	return fmt.Sprintf("%d ns", ns)
}
