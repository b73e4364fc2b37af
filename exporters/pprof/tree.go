package pprof

import (
	"compress/gzip"
	"fmt"
	"io"
	"time"

	"github.com/ukdbg/ukdbg/exporters/folded"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// TreeOptions say what a tree is of.
type TreeOptions struct {
	// Start is when the trace began, zero if it is not known, Duration how long
	// it is.
	Start    time.Time
	Duration time.Duration
}

// WriteTree writes where the time of a trace's spans went: their names in place
// of functions, how many there were and the time that was spent in each itself.
// The tree's first level is the threads, which become the label thread.
//
// The sample types are spans/count and time/nanoseconds.
func WriteTree(w io.Writer, root *folded.Node, opt TreeOptions) error {
	z := gzip.NewWriter(w)
	b := treeBuilder{builder: builder{w: z, strings: map[string]uint64{}}, names: map[string]uint64{}}
	b.tree(root, opt)
	if err := z.Close(); b.err == nil {
		b.err = err
	}
	if b.err != nil {
		return fmt.Errorf("writing pprof: %w", b.err)
	}
	return nil
}

type treeBuilder struct {
	builder
	names map[string]uint64 // locations, and their functions, by name
}

func (b *treeBuilder) tree(root *folded.Node, opt TreeOptions) {
	b.str("")
	b.field(profileSampleType, b.valueType("spans", "count"))
	b.field(profileSampleType, b.valueType("time", "nanoseconds"))
	b.field(profilePeriodType, b.valueType("time", "nanoseconds"))
	b.number(profilePeriod, 1)
	b.number(profileDurationNanos, uint64(max(opt.Duration, 0)))
	if !opt.Start.IsZero() {
		b.number(profileTimeNanos, uint64(opt.Start.UnixNano()))
	}
	b.number(profileDefaultSampleType, b.str("time"))
	for _, thread := range root.Children {
		for _, c := range thread.Children {
			b.node(c, nil, thread.Name)
		}
	}
}

// node writes the samples of a node and of those inside it; callers are the
// locations around it, outermost first.
func (b *treeBuilder) node(n *folded.Node, callers []uint64, thread string) {
	stack := append(callers, b.name(n.Name))
	if n.Count > 0 {
		b.ids = b.ids[:0]
		for i := len(stack) - 1; i >= 0; i-- {
			b.ids = append(b.ids, stack[i])
		}
		e := wire.AppendPacked(b.buf[:0], sampleLocationID, b.ids)
		e = wire.AppendPacked(e, sampleValue, []uint64{n.Count, uint64(max(n.Self, 0))})
		e = b.label(e, "thread", labelStr, b.str(thread))
		b.field(profileSample, e)
		b.buf = e
	}
	for _, c := range n.Children {
		b.node(c, stack, thread)
	}
}

// name returns the location of a name and writes it when it is new.
func (b *treeBuilder) name(name string) uint64 {
	if id, ok := b.names[name]; ok {
		return id
	}
	id := uint64(len(b.names) + 1)
	b.names[name] = id
	f := wire.AppendVarint(nil, functionID, id)
	f = wire.AppendVarint(f, functionName, b.str(name))
	f = wire.AppendVarint(f, functionSystemName, b.str(name))
	b.field(profileFunction, f)
	l := wire.AppendVarint(nil, locationID, id)
	l = wire.AppendBytes(l, locationLine, wire.AppendVarint(nil, lineFunctionID, id))
	b.field(profileLocation, l)
	return id
}
