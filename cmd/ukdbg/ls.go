package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/imageindex"
	"github.com/ukdbg/ukdbg/vmm"
)

func newLs(e env) *cobra.Command {
	var asJSON, long bool
	var folders imageDirFlags
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the guests of this host and the ways to reach them",
		Long: `List the guests of this host: QEMU and Firecracker, whoever started them. No guest
is stopped, and sockets that kraft or libvirt keep for themselves are not opened.
What this user may not see is said.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ix, err := folders.index(cmd.Context(), e)
			if err != nil {
				return err
			}
			return ls(cmd.Context(), e, hosts.New(), ix, asJSON, long)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&long, "long", "l", false, "show every way to each guest")
	folders.add(cmd.Flags())
	return cmd
}

// listed is a guest with what the image says of it.
type listed struct {
	hosts.Guest
	image imageMatch
	stops stopCount
}

func ls(ctx context.Context, e env, h *hosts.Host, ix *imageindex.Index, asJSON, long bool) error {
	guests, err := h.List(ctx)
	if err != nil {
		return fmt.Errorf("looking for guests: %w", err)
	}
	list, log := make([]listed, len(guests)), readAudit(e.getenv)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, g := range guests {
		list[i].Guest, list[i].stops = g, log.stops(h, &g)
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[i].image = matchImage(ctx, &list[i].Guest, ix)
		})
	}
	wg.Wait()
	if asJSON {
		return printJSON(e, lsJSON(list))
	}
	switch {
	case len(list) == 0:
		fmt.Fprintln(e.out, "no guests: no QEMU and no Firecracker runs here, or none that this user can see")
	case long:
		writeLong(e, list)
	default:
		writeTable(e, list)
	}
	return ctx.Err()
}

// writeTable prints a line a guest.
func writeTable(e env, list []listed) {
	tw := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "GUEST\tVMM\tARCH\tSTATE\tIMAGE\tSTOPS\tWAYS\n")
	for i := range list {
		g := &list[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", line(g.Target), vmmText(&g.Guest), orDash(g.Arch), orDash(g.State),
			line(g.image.short()), g.stops, line(waysText(&g.Guest)))
	}
	flush(tw)
	// What is to be said of several guests is said once.
	about := map[string][]string{}
	var texts []string
	for i := range list {
		for _, n := range list[i].remarks() {
			if about[n] == nil {
				texts = append(texts, n)
			}
			about[n] = append(about[n], list[i].Target)
		}
	}
	for _, n := range texts {
		fmt.Fprintf(e.out, "%s: %s\n", line(strings.Join(about[n], ", ")), line(n))
	}
}

// writeLong prints a block a guest.
func writeLong(e env, list []listed) {
	for i := range list {
		g := &list[i]
		if i > 0 {
			fmt.Fprintln(e.out)
		}
		words := []string{g.Target, vmmText(&g.Guest), fmt.Sprintf("uid %d", g.UID)}
		if g.Process.Name != "" && !strings.HasSuffix(g.Target, ":"+g.Process.Name) {
			words = append(words, "named "+g.Process.Name)
		}
		for _, w := range []string{g.Arch, sizeText(&g.Guest), g.State} {
			if w != "" {
				words = append(words, w)
			}
		}
		fmt.Fprintln(e.out, line(strings.Join(words, " · ")))
		fmt.Fprintf(e.out, "  image: %s\n", line(g.image.String()))
		tw := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
		for _, w := range g.Ways {
			fmt.Fprintf(tw, "  %s\t%s\t%s\n", w.Kind, line(wayName(w)), line(wayNote(w)))
		}
		flush(tw)
		if g.State == "" {
			fmt.Fprintf(e.out, "  state not known: %s\n", line(g.StateFrom))
		}
		for _, n := range g.remarks() {
			fmt.Fprintf(e.out, "  %s\n", line(n))
		}
	}
}

// remarks are what a person ought to know and no column shows.
func (g *listed) remarks() []string {
	var out []string
	if g.Confidential != "" {
		out = append(out, "encrypted guest ("+g.Confidential+"): console and in-guest export only")
	}
	out = append(out, g.Notes...)
	if len(g.Unseen) > 0 {
		out = append(out, fmt.Sprintf("of uid %d, not to be seen from here: %s", g.UID, strings.Join(g.Unseen, "; ")))
	}
	return out
}

// vmmText is the program, and its process unless the target names that.
func vmmText(g *hosts.Guest) string {
	name := map[vmm.Kind]string{vmm.QEMU: "QEMU", vmm.Firecracker: "Firecracker"}[g.Kind]
	if strings.HasPrefix(g.Target, "pid:") {
		return name
	}
	return fmt.Sprintf("%s %d", name, g.PID)
}

func sizeText(g *hosts.Guest) string {
	var words []string
	if g.CPUs == 1 {
		words = append(words, "1 CPU")
	} else if g.CPUs > 1 {
		words = append(words, fmt.Sprintf("%d CPUs", g.CPUs))
	}
	if g.MemoryMiB > 0 {
		words = append(words, fmt.Sprintf("%d MiB", g.MemoryMiB))
	}
	return strings.Join(words, ", ")
}

// waysText is the short form: what works here, "no stop" first.
func waysText(g *hosts.Guest) string {
	var words []string
	for _, w := range g.Ways {
		switch {
		case !w.Open:
		case w.Kind == hosts.Stub:
			words = append(words, w.Spec)
		case w.Kind != hosts.API:
			words = append(words, string(w.Kind))
		}
	}
	if len(words) == 0 {
		return "none from here"
	}
	return strings.Join(words, ", ")
}

func wayName(w hosts.Way) string {
	switch {
	case w.Spec != "":
		return w.Spec
	case w.Path != "":
		return w.Path
	}
	return "-"
}

func wayNote(w hosts.Way) string {
	note := w.Note
	if w.Kind == hosts.Monitor && w.Open {
		note = strings.ToUpper(w.Note) + ", no stop"
	}
	if w.Kind == hosts.Memory && w.Open && note == "" {
		note = "no stop"
	}
	if !w.Open {
		return "✘ " + note
	}
	return note
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return line(s)
}

// line makes of another's text one line that is safe on a terminal.
func line(s string) string {
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if unsafe(c) {
			fmt.Fprintf(&b, "\\x%02x", c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func unsafe(c rune) bool { return !unicode.IsPrint(c) || c == unicode.ReplacementChar }

// flush ends a table; what it was written to reports its own errors.
func flush(tw *tabwriter.Writer) { _ = tw.Flush() }

// base is the last part of a path.
func base(path string) string { return filepath.Base(path) }
