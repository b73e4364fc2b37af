package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/doctor"
	"github.com/ukdbg/ukdbg/hosts"
)

func newDoctor(e env) *cobra.Command {
	var asJSON bool
	var image string
	cmd := &cobra.Command{
		Use:   "doctor TARGET [-e NAME.dbg]",
		Short: "Say what works with a guest, and what would enable the rest",
		Long: `Say for each power (memory, registers, trace, threads, breakpoints, dump, no-stop, perf)
whether it works with this guest, by this user, and the one change that would
enable it. What can be tried without stopping the guest is tried; nothing else is.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return examine(cmd.Context(), e, doctor.Options{Target: args[0], Image: image, Host: hosts.New()}, asJSON)
		},
	}
	cmd.Flags().StringVarP(&image, "elf", "e", "", "the image with debug information (NAME.dbg); else that beside the guest's kernel")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func examine(ctx context.Context, e env, opt doctor.Options, asJSON bool) error {
	r, err := doctor.Examine(ctx, opt)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(e, doctorJSON(r))
	}
	writeReport(e, r)
	return nil
}

func writeReport(e env, r *doctor.Report) {
	words := []string{r.Target}
	if g := r.Guest; g != nil {
		if g.Target != r.Target && !strings.HasPrefix(g.Target, "pid:") {
			words = append(words, g.Target)
		}
		words = append(words, vmmText(g), fmt.Sprintf("uid %d", g.UID))
		for _, w := range []string{g.Arch, sizeText(g), g.State} {
			if w != "" {
				words = append(words, w)
			}
		}
	}
	fmt.Fprintln(e.out, line(strings.Join(words, " · ")))
	m := imageMatch{Path: r.Image, Why: r.ImageNote, Match: r.Match}
	fmt.Fprintf(e.out, "image: %s\n", line(m.String()))
	tw := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	said := map[string]string{}
	for _, p := range r.Powers {
		text := p.How
		if p.Why != "" {
			text = p.Why
			// One reason may stand in the way of many powers.
			if first, ok := said[p.Why+p.Change]; ok {
				text, p.Change = "as "+first, ""
			} else {
				said[p.Why+p.Change] = p.Name
			}
		}
		fmt.Fprintf(tw, "%s %s\t%s\t%s\n", mark(p.State), p.Name, p.State, line(text))
		if p.Change != "" {
			fmt.Fprintf(tw, "\t\t→ %s\n", line(p.Change))
		}
	}
	flush(tw)
	for _, a := range r.Advice {
		fmt.Fprintln(e.out, line(a))
	}
}

func mark(s doctor.State) string {
	switch s {
	case doctor.Works, doctor.Ready:
		return "✔"
	case doctor.No:
		return "✘"
	}
	return "?"
}

// doctorReport is a report: docs/json.md.
type doctorReport struct {
	Target string      `json:"target"`
	Guest  *guestJSON  `json:"guest,omitempty"`
	Image  imageJSON   `json:"image"`
	Powers []powerJSON `json:"powers"`
	Advice []string    `json:"advice,omitempty"`
}

type powerJSON struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	How    string `json:"how,omitempty"`
	Why    string `json:"why,omitempty"`
	Change string `json:"change,omitempty"`
}

func doctorJSON(r *doctor.Report) doctorReport {
	out := doctorReport{Target: r.Target, Image: imageJSON{Path: r.Image, Match: r.Match, Note: r.ImageNote}, Advice: r.Advice}
	if r.Guest != nil {
		g := guestOf(r.Guest)
		out.Guest = &g
	}
	for _, p := range r.Powers {
		out.Powers = append(out.Powers, powerJSON{p.Name, string(p.State), p.How, p.Why, p.Change})
	}
	return out
}
