package analysis

import (
	"cmp"
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// Node is what took time under one chain of enclosing operations.
type Node struct {
	Name                     string
	Count, Errors, Ambiguous uint64
	// Total, Self and Waited are nanoseconds: all, in no span inside, and in
	// which the thread did not run.
	Total, Self, Waited uint64
	Children            []*Node
}

// Tree adds spans up by what encloses them.
type Tree struct {
	// ByThread puts the threads at the top.
	ByThread bool
	root     Node
	path     []int
	nodes    int
}

// maxNodes bounds a tree; what does not fit is counted to the parent alone.
const maxNodes = 1 << 17

// child returns the child of a name, nil if the tree is full.
func (t *Tree) child(n *Node, name string) *Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	if t.nodes == maxNodes {
		return nil
	}
	t.nodes++
	c := &Node{Name: name}
	n.Children = append(n.Children, c)
	return c
}

// Interval counts a span; it is a Visitor's.
func (t *Tree) Interval(s *Seen, iv *tracebuf.Interval) error {
	n := &t.root
	if t.ByThread {
		name := s.Pairer.NameOf(iv.OnThread)
		if name == "" {
			name = "(unknown thread)"
		}
		if n = t.child(n, name); n == nil {
			return nil
		}
	}
	defs := s.Guest.Definitions.All
	if !iv.Ambiguous {
		t.path = s.Pairer.Enclosing(t.path[:0], iv.OnThread)
		for _, base := range t.path {
			next := t.child(n, defs[base].Name)
			if next == nil {
				break
			}
			n = next
		}
	}
	if n = t.child(n, defs[iv.Base].Name); n == nil {
		return nil
	}
	n.Count++
	if iv.Failed {
		n.Errors++
	}
	if iv.Ambiguous {
		n.Ambiguous++
	}
	if iv.AcrossLost {
		return nil // its time may be two spans'
	}
	n.Total += iv.Duration()
	n.Self += iv.Self()
	n.Waited += iv.Waited
	return nil
}

// Root returns the tree, children with the most time first. A node that was
// only enclosing, as its own span did not end, has the time of its children.
func (t *Tree) Root() *Node {
	t.root.finish()
	return &t.root
}

func (n *Node) finish() {
	var total uint64
	for _, c := range n.Children {
		c.finish()
		total += c.Total
	}
	if n.Count == 0 {
		n.Total = total
	}
	slices.SortFunc(n.Children, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
}
