package stacks

import (
	"slices"

	"github.com/ukdbg/ukdbg/exporters/folded"
	"github.com/ukdbg/ukdbg/profiler"
)

// Tree adds the samples up, outermost function first, below their threads if the
// profile knows any. Total and Self are in the unit of the profile's values; where
// these are all 0, as of a dump's stacks, they count samples. Count is the number
// of samples that end in the node.
func Tree(p *profiler.Profile) *folded.Node {
	root := &folded.Node{Name: "all"}
	counted := p.Counted()
	for i := range p.Samples {
		s := &p.Samples[i]
		value := s.Value
		if counted {
			value = s.Count
		}
		at := root
		at.Total += value
		call := func(name string) {
			at = at.Child(name)
			at.Total += value
		}
		if name := s.Thread.String(); name != "" {
			call(name)
		}
		if s.Truncated {
			call(profiler.NotCaptured)
		}
		for _, f := range slices.Backward(s.Stack) {
			call(f.String())
		}
		at.Self += value
		at.Count += uint64(max(s.Count, 0))
	}
	root.Finish()
	return root
}
