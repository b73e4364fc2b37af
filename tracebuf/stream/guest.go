package stream

import (
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
)

// Guest is a guest run whose records are in a trace.
type Guest struct {
	// Number counts the guests of all sources from 0, in the order they appear.
	Number int
	recording.Start
	Definitions *tracebuf.Definitions
	// End is what its recorder said last, nil if it was cut off or never said.
	End *recording.End
	// Segments are those seen so far.
	Segments []recording.Segment

	names map[uint64]string
}

// Label is a short name for people.
func (g *Guest) Label() string {
	for _, s := range []string{g.Name, g.Image, g.Target, g.Instance} {
		if s != "" {
			return s
		}
	}
	return "guest"
}

// SwitchPoint is how a scheduler's tracepoint is known: named sched_switch,
// with the thread that leaves in its first argument and the next in its second.
const SwitchPoint = "sched_switch"

// FindSwitch returns the scheduler's tracepoint of an image, nil if it has none.
func FindSwitch(defs *tracebuf.Definitions) *recording.SwitchPoint {
	d := defs.ByName(SwitchPoint)
	if d == nil || len(d.Args) < 2 {
		return nil
	}
	return &recording.SwitchPoint{Name: SwitchPoint, From: 0, To: 1}
}

// Pairer returns a new pairer for the guest's records.
func (g *Guest) Pairer() *tracebuf.Pairer {
	var sw *tracebuf.Switch
	if g.Switch != nil {
		sw = &tracebuf.Switch{Name: g.Switch.Name, From: g.Switch.From, To: g.Switch.To, NameOf: g.ThreadName}
	}
	p := tracebuf.NewPairer(g.Definitions, sw)
	p.ThreadName = g.ThreadName
	return p
}

// ThreadName returns the name of the thread at an address, "" if it is not known.
func (g *Guest) ThreadName(addr uint64) string { return g.names[addr] }

// maxNames bounds the thread names kept of one guest.
const maxNames = 1 << 16

// NameThreads adds names of threads.
func (g *Guest) NameThreads(names ...recording.ThreadName) {
	if g.names == nil {
		g.names = map[uint64]string{}
	}
	for _, n := range names {
		if len(g.names) < maxNames {
			g.names[n.Address] = n.Name
		}
	}
}
