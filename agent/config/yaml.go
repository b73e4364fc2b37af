package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits on a file.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 16
)

type kind int

const (
	scalar kind = iota
	mapping
	list
	null // nothing after a key
)

// node is a value of the file.
type node struct {
	kind  kind
	line  int // from 1
	text  string
	keys  []*node // of a mapping, in order
	items []*node // values of a mapping, or a list's
}

// Error is a mistake in a file.
type Error struct {
	Line int // from 1, 0 for the whole
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Text)
}

func bad(line int, format string, args ...any) *Error {
	return &Error{line, fmt.Sprintf(format, args...)}
}

// positioned is what the library's errors know.
type positioned interface {
	error
	GetToken() *token.Token
	GetMessage() string
}

// parse reads a file.
func parse(data []byte) (*node, error) {
	if len(data) > maxFile {
		return nil, bad(0, "the file is larger than %d bytes", maxFile)
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if at := positioned(nil); errors.As(err, &at) && at.GetToken() != nil {
		return nil, bad(at.GetToken().Position.Line, "%s", at.GetMessage())
	}
	if err != nil {
		return nil, bad(0, "%v", err)
	}
	var body []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			body = append(body, d.Body)
		}
	}
	switch len(body) {
	case 0:
		return &node{kind: null, line: 1}, nil
	case 1:
		return convert(body[0], 0)
	}
	return nil, bad(lineOf(body[1]), "a second document")
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil {
		return t.Position.Line
	}
	return 0
}

func convert(n ast.Node, depth int) (*node, error) {
	out := &node{line: lineOf(n)}
	if depth > maxDepth {
		return nil, bad(out.line, "nested more than %d deep", maxDepth)
	}
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = null
		return out, nil
	case *ast.StringNode:
		out.text = n.Value
		return out, nil
	case *ast.LiteralNode:
		out.text = n.Value.Value
		return out, nil
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.text = strings.TrimSpace(n.GetToken().Value)
		return out, nil
	case *ast.SequenceNode:
		out.kind = list
		for _, v := range n.Values {
			item, err := convert(v, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, item)
		}
		return out, nil
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.MappingNode:
		values = n.Values
	default:
		return nil, bad(out.line, "%s: aliases, anchors, tags and merged keys are not for a configuration", strings.ToLower(n.Type().String()))
	}
	out.kind = mapping
	for _, v := range values {
		key, err := convert(v.Key, depth+1)
		if err != nil {
			return nil, err
		}
		if key.kind != scalar {
			return nil, bad(key.line, "a key is a text")
		}
		value, err := convert(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		out.keys, out.items = append(out.keys, key), append(out.items, value)
	}
	if len(out.keys) > 0 {
		out.line = out.keys[0].line
	}
	return out, nil
}

// short is a text that fits an error.
func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
