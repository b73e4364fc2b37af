package stacks

import (
	"fmt"
	"io"
	"time"

	"github.com/ukdbg/ukdbg/exporters/folded"
	"github.com/ukdbg/ukdbg/exporters/html"
	"github.com/ukdbg/ukdbg/profiler"
)

// WriteFolded writes one line for each stack: thread;outer;inner and its value.
func WriteFolded(w io.Writer, p *profiler.Profile) error {
	return folded.WriteTree(w, Tree(p), folded.Options{})
}

// WriteHTML writes a page with the profile's flame graph. name is its title.
func WriteHTML(w io.Writer, p *profiler.Profile, name string) error {
	count, value := p.Kind.Units()
	unit := value
	if p.Counted() {
		unit = count
	}
	samples, _ := p.Total()
	notes := []string{fmt.Sprintf("%s · %d samples", kindText(p.Kind), samples)}
	if p.Kind.Sampled() && p.Duration > 0 {
		notes[0] += fmt.Sprintf(" in %v · guest stopped %v in %d stops", p.Duration.Round(time.Millisecond),
			p.Pause.Total.Round(time.Microsecond), p.Pause.Stops)
	}
	for _, warning := range p.Warnings {
		notes = append(notes, "warning: "+warning)
	}
	return html.WriteFlame(w, html.Flame{Name: name, What: kindText(p.Kind), Unit: unit.Unit, Notes: notes, Tree: Tree(p)})
}

func kindText(k profiler.Kind) string {
	switch k {
	case profiler.Wall:
		return "time of all threads, running or not"
	case profiler.OffCPU:
		return "time threads did not run"
	case profiler.Heap:
		return "memory in use"
	case profiler.Lock:
		return "time locks were waited for"
	}
	return "time on the processor"
}
