// Package stacks writes a profile as what its stacks add up to: folded lines for
// other tools, and a page with a flame graph that opens from disk.
//
//	err := stacks.WriteFolded(w, p)
//	err := stacks.WriteHTML(w, p, "shop")
//	tree := stacks.Tree(p) // to draw it otherwise
//
// Format: the comment at the head of flamegraph.pl (Brendan Gregg); the page is
// that of exporters/html.
package stacks
