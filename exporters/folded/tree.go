package folded

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/ukdbg/ukdbg/exporters"
)

// Node is a name in its callers' context.
type Node struct {
	Name string
	// Count is how many spans there were, Errors how many of them failed.
	Count, Errors uint64
	// Total is the nanoseconds of these spans, Self those spent in no span
	// inside them.
	Total, Self int64
	// Children are sorted by Total, the largest first, in a built tree.
	Children []*Node

	index map[string]*Node
}

// Options say how a tree is made.
type Options struct {
	// Mixed leaves out the level of threads.
	Mixed bool
	// Count makes Write write how often instead of how long.
	Count bool
}

// Child returns the child of a name, making it if need be.
func (n *Node) Child(name string) *Node {
	if c := n.index[name]; c != nil {
		return c
	}
	if n.index == nil {
		n.index = map[string]*Node{}
	}
	c := &Node{Name: name}
	n.index[name] = c
	n.Children = append(n.Children, c)
	return c
}

// merge adds a tree of children to n's.
func (n *Node) merge(from *Node) {
	for _, f := range from.Children {
		c := n.Child(f.Name)
		c.Count += f.Count
		c.Errors += f.Errors
		c.Total += f.Total
		c.Self += f.Self
		c.merge(f)
	}
}

// maxPending bounds the spans whose end is awaited, and so the memory that a
// damaged trace can cost; what is beyond counts as without a caller.
const maxPending = 1 << 20

// Unfinished names the caller of spans whose own caller never ended.
const Unfinished = "[unfinished]"

// Build adds the spans up. They must come in order of their ends.
func Build(spans iter.Seq2[exporters.Span, error], opt Options) (*Node, error) {
	root := &Node{Name: "all"}
	// What ended inside a span that has not ended yet.
	type inside struct {
		sub    Node
		time   int64
		thread string
	}
	pending := map[uint64]*inside{}
	for s, err := range spans {
		if err != nil {
			return nil, fmt.Errorf("reading spans to add up: %w", err)
		}
		duration := max(s.End-s.Start, 0)
		at := root
		if !opt.Mixed {
			at = root.Child(ThreadName(s.Thread))
		}
		mine := pending[s.ID]
		delete(pending, s.ID)
		if s.Parent != 0 {
			p := pending[s.Parent]
			if p == nil && len(pending) < maxPending {
				p = &inside{thread: ThreadName(s.Thread)}
				pending[s.Parent] = p
			}
			if p != nil {
				p.time += duration
				at = &p.sub
			}
		}
		n := at.Child(s.Name)
		n.Count++
		n.Total += duration
		n.Self += duration
		if s.Err {
			n.Errors++
		}
		if mine != nil {
			n.Self -= min(mine.time, duration)
			n.merge(&mine.sub)
		}
	}
	for _, p := range pending {
		at := root
		if !opt.Mixed {
			at = root.Child(p.thread)
		}
		at.Child(Unfinished).merge(&p.sub)
	}
	root.Finish()
	return root, nil
}

// Finish sorts the children, and gives nodes that are no spans their time.
func (n *Node) Finish() {
	for _, c := range n.Children {
		c.Finish()
	}
	if n.Count == 0 {
		n.Total = 0
		for _, c := range n.Children {
			n.Total += c.Total
		}
	}
	slices.SortFunc(n.Children, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
}

// ThreadName is what a thread is called in a tree.
func ThreadName(t exporters.Thread) string {
	switch {
	case !t.Known:
		return "thread not known"
	case t.Name == "":
		return fmt.Sprintf("thread %d", t.ID)
	}
	return t.Name
}
