package folded

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// Write writes the spans as folded stacks, one line each.
func Write(w io.Writer, spans iter.Seq2[exporters.Span, error], opt Options) error {
	root, err := Build(spans, opt)
	if err != nil {
		return err
	}
	return WriteTree(w, root, opt)
}

// WriteTree writes the stacks below a tree's root, one line each.
func WriteTree(w io.Writer, root *Node, opt Options) error {
	out := bufio.NewWriter(w)
	for _, c := range root.Children {
		writeNode(out, nil, c, opt)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing folded stacks: %w", err)
	}
	return nil
}

func writeNode(w *bufio.Writer, path []byte, n *Node, opt Options) {
	if path != nil {
		path = append(path, ';')
	}
	path = append(path, clean(n.Name)...)
	value := n.Self
	if opt.Count {
		value = int64(n.Count)
	}
	if value > 0 {
		fmt.Fprintf(w, "%s %d\n", path, value)
	}
	for _, c := range n.Children {
		// The next child overwrites what this one appends.
		writeNode(w, path, c, opt)
	}
}

// clean keeps a guest's name from being taken for two, or for two lines.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ';':
			return ':'
		case r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
}
