package html

import (
	"io"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/folded"
)

// Flame is a flame graph to be written as a page.
type Flame struct {
	// Name is the page's title.
	Name string
	// What says what a box's width stands for: "time on the processor".
	What string
	// Unit is that of the tree's numbers: "nanoseconds", "bytes" or "count".
	Unit string
	// Notes are shown above the graph, a line each.
	Notes []string
	// Tree is the calls, outermost first.
	Tree *folded.Node
}

// WriteFlame writes a page of one flame graph.
func WriteFlame(w io.Writer, f Flame) error {
	b := exporters.AppendJSONString([]byte(`{"name":`), f.Name)
	b = exporters.AppendJSONString(append(b, `,"what":`...), f.What)
	b = exporters.AppendJSONString(append(b, `,"unit":`...), f.Unit)
	b = listJSON(append(b, `,"notes":`...), f.Notes)
	limit := maxNodes
	b = treeJSON(append(b, `,"tree":`...), f.Tree, f.Tree.Total/minShare, &limit)
	return page(w, f.Name+" · ukdbg profile", append(b, '}'), common+flameScript)
}
