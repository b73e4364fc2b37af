package filter

import (
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/tracebuf"
)

type valueKind uint8

const (
	absent valueKind = iota
	isInt
	isText
)

type value struct {
	kind   valueKind
	num    int64
	signed bool
	text   []byte
}

// word is a name in an expression.
type word struct {
	builtin string
	// An argument: by its name, or by its position if name is "".
	name     string
	index    int
	onlyEnds bool
}

func newWord(text string) word {
	switch text {
	case "name", "thread", "cpu", "time", "text", "guest", "duration", "self", "waited", "failed":
		return word{builtin: text}
	}
	w := word{name: text}
	if rest, ok := strings.CutPrefix(text, "arg."); ok && rest != "" {
		w.name = rest
		return w
	}
	if rest, ok := strings.CutPrefix(text, "ret."); ok && rest != "" {
		w.name, w.onlyEnds = rest, true
		return w
	}
	for _, p := range []string{"arg", "ret"} {
		if digits, ok := strings.CutPrefix(text, p); ok {
			if n, err := strconv.ParseUint(digits, 10, 8); err == nil {
				return word{index: int(n), onlyEnds: p == "ret"}
			}
		}
	}
	return w
}

func number64(n uint64) value { return value{kind: isInt, num: int64(n)} }

func textOf(s string) value {
	if s == "" {
		return value{}
	}
	return value{kind: isText, text: []byte(s)}
}

func (w *word) get(s *Subject) value {
	if w.builtin != "" {
		return w.known(s)
	}
	if !w.onlyEnds {
		if v := w.argument(s.Record); v.kind != absent {
			return v
		}
	}
	if s.Leave != nil {
		return w.argument(s.Leave)
	}
	// A record that ends a span is judged alone in a list.
	if w.onlyEnds && s.Span == nil {
		return w.argument(s.Record)
	}
	return value{}
}

func (w *word) known(s *Subject) value {
	switch w.builtin {
	case "name":
		if s.Name != "" {
			return textOf(s.Name)
		}
		return textOf(s.Record.Def.Name)
	case "thread":
		return textOf(s.Thread)
	case "guest":
		return textOf(s.Guest)
	case "cpu":
		if s.CPU < 0 {
			return value{}
		}
		return number64(uint64(s.CPU))
	case "time":
		return number64(s.Record.Time)
	case "text":
		return value{kind: isText, text: s.Record.AppendText(nil)}
	}
	if s.Span == nil {
		return value{}
	}
	switch w.builtin {
	case "duration":
		return number64(s.Span.Duration())
	case "self":
		return number64(s.Span.Self())
	case "waited":
		return number64(s.Span.Waited)
	}
	if s.Span.Failed {
		return number64(1)
	}
	return number64(0)
}

// argument finds the word among a record's arguments.
func (w *word) argument(r *tracebuf.Record) value {
	i := w.index
	if w.name != "" {
		for i = 0; i < len(r.Def.Args) && r.Def.ArgName(i) != w.name; i++ {
		}
	}
	switch {
	case i >= len(r.Def.Args):
		return value{}
	case r.Def.Args[i].Type == tracebuf.ArgString:
		return value{kind: isText, text: r.Bytes(i)}
	case r.Def.Signed(i):
		return value{kind: isInt, num: r.Int(i), signed: true}
	}
	return number64(r.Uint(i))
}
