package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

func newTraceInfo(e env) *cobra.Command {
	var flags traceFlags
	var points bool
	cmd := &cobra.Command{
		Use:   "info TARGET|FILE...",
		Short: "Tell what a trace is of and what it can tell",
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceInfo(cmd.Context(), e, &flags, args, points)
		},
	}
	flags.addInput(cmd)
	cmd.Flags().BoolVar(&points, "points", false, "list the tracepoints the image defines")
	flags.addJSON(cmd)
	return cmd
}

// infoJSON is docs/json.md's.
type infoJSON struct {
	Kinds   []string        `json:"kinds"`
	Records uint64          `json:"records"`
	Bad     uint64          `json:"bad"`
	Lost    uint64          `json:"lost_periods"`
	LostNS  uint64          `json:"lost_ns"`
	Damaged uint64          `json:"damaged"`
	Cut     bool            `json:"cut"`
	Guests  []guestInfoJSON `json:"guests"`
}

type guestInfoJSON struct {
	Name          string      `json:"name"`
	Instance      string      `json:"instance"`
	Target        string      `json:"target,omitempty"`
	Image         string      `json:"image,omitempty"`
	ImageHash     string      `json:"image_hash,omitempty"`
	Arch          string      `json:"arch,omitempty"`
	Kernel        string      `json:"kernel,omitempty"`
	Records       uint64      `json:"records"`
	First         uint64      `json:"first_ns"`
	Last          uint64      `json:"last_ns"`
	Segments      int         `json:"segments"`
	UnixFirst     int64       `json:"unix_first_ns,omitempty"`
	UnixLast      int64       `json:"unix_last_ns,omitempty"`
	Uncertainty   *int64      `json:"clock_uncertainty_ns,omitempty"`
	Threads       bool        `json:"threads"`
	Tracepoints   int         `json:"tracepoints"`
	BadDefs       []string    `json:"bad_definitions,omitempty"`
	Complete      bool        `json:"complete"`
	StoppedNS     int64       `json:"stopped_ns,omitempty"`
	LongestStopNS int64       `json:"longest_stop_ns,omitempty"`
	Points        []pointJSON `json:"points,omitempty"`
}

type pointJSON struct {
	Name    string `json:"name"`
	Format  string `json:"format"`
	Problem string `json:"problem,omitempty"`
	Records uint64 `json:"records"`
}

// guestInfo is what a reading tells of one guest.
type guestInfo struct {
	json   guestInfoJSON
	counts []uint64
}

func traceInfo(ctx context.Context, e env, flags *traceFlags, args []string, points bool) (err error) {
	t, err := flags.open(ctx, e, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	sources, err := t.sources()
	if err != nil {
		return err
	}
	guests := map[*stream.Guest]*guestInfo{}
	totals, err := new(analysis.Query).Run(sources, analysis.Visitor{Record: func(s *analysis.Seen) error {
		g := guests[s.Guest]
		if g == nil {
			g = &guestInfo{counts: make([]uint64, len(s.Guest.Definitions.All))}
			g.json.UnixFirst = s.Unix()
			guests[s.Guest] = g
		}
		g.counts[s.Rec.Def.Index]++
		if s.First && s.Chunk.Clock.Known {
			g.json.UnixLast = s.Chunk.Clock.Unix(s.Chunk.Head.Last)
			if u := s.Chunk.Clock.Uncertainty; u >= 0 {
				g.json.Uncertainty = &u
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	out := infoJSON{
		Kinds: t.kinds, Records: totals.Records, Bad: totals.Bad, Lost: totals.LostPeriods, LostNS: totals.Lost,
		Damaged: totals.Damaged, Cut: totals.Cut, Guests: []guestInfoJSON{},
	}
	for _, src := range sources {
		for _, g := range src.Guests() {
			out.Guests = append(out.Guests, describe(g, guests[g], totals, points))
		}
	}
	if flags.json {
		return printJSON(e, out)
	}
	for _, k := range t.kinds {
		fmt.Fprintln(e.out, k)
	}
	for i := range out.Guests {
		writeGuestInfo(e.out, &out.Guests[i])
	}
	ukdbg.WriteTraceState(e.out, totals, t.snapshot)
	return nil
}

func describe(g *stream.Guest, seen *guestInfo, totals *analysis.Totals, points bool) guestInfoJSON {
	j := guestInfoJSON{}
	if seen != nil {
		j = seen.json
	}
	j.Name, j.Instance, j.Target, j.Image, j.ImageHash, j.Arch, j.Kernel = g.Label(), g.Instance, g.Target, g.Image, g.ImageHash, g.Arch, g.Kernel
	j.Segments, j.Tracepoints = max(1, len(g.Segments)), len(g.Definitions.All)
	for _, b := range g.Definitions.Bad {
		j.BadDefs = append(j.BadDefs, b.Error())
	}
	if g.End != nil {
		j.Complete, j.StoppedNS, j.LongestStopNS = true, g.End.Stopped, g.End.Longest
	}
	for _, t := range totals.Guests {
		if t.Guest == g {
			j.Records, j.First, j.Last, j.Threads = t.Records, t.First, t.Last, t.Threads
		}
	}
	if !points {
		return j
	}
	for i, d := range g.Definitions.All {
		p := pointJSON{Name: d.Name, Format: d.Format, Problem: d.FormatProblem()}
		if seen != nil {
			p.Records = seen.counts[i]
		}
		j.Points = append(j.Points, p)
	}
	return j
}

func writeGuestInfo(w io.Writer, g *guestInfoJSON) {
	field := func(name, format string, a ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, asserts.Escape(fmt.Sprintf(format, a...)))
	}
	fmt.Fprintln(w, asserts.Escape(g.Name))
	if g.Target != "" {
		field("target", "%s", g.Target)
	}
	if g.Image != "" {
		field("image", "%s  %s", g.Image, g.ImageHash)
	}
	if g.Kernel != "" {
		field("kernel", "%s, %s", g.Kernel, g.Arch)
	}
	field("instance", "%s", g.Instance)
	field("records", "%d from %.6f s to %.6f s after boot", g.Records, float64(g.First)/1e9, float64(g.Last)/1e9)
	switch {
	case g.UnixFirst == 0:
		field("host clock", "not known")
	default:
		text := time.Unix(0, g.UnixFirst).UTC().Format("2006-01-02 15:04:05.000 UTC")
		if g.Uncertainty != nil {
			text += ", ± " + ukdbg.Nanoseconds(uint64(*g.Uncertainty))
		} else {
			text += " or earlier"
		}
		if g.Segments > 1 {
			text += fmt.Sprintf(", %d segments", g.Segments)
		}
		field("host clock", "%s", text)
	}
	threads := "not told by the records"
	if g.Threads {
		threads = "told by the records"
	}
	field("threads", "%s", threads)
	field("tracepoints", "%d", g.Tracepoints)
	for _, b := range g.BadDefs {
		field("bad", "%s", b)
	}
	for _, p := range g.Points {
		text := fmt.Sprintf("%8d  %-24s %q", p.Records, p.Name, p.Format)
		if p.Problem != "" {
			text += "  (" + p.Problem + ")"
		}
		fmt.Fprintf(w, "  %s\n", asserts.Escape(text))
	}
}
