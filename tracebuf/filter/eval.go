package filter

import (
	"regexp"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// Subject is what is judged: a record, or a span with both its records.
type Subject struct {
	// Record is the record, or what began the span.
	Record *tracebuf.Record
	// Leave is what ended the span, nil for a record.
	Leave *tracebuf.Record
	// Span is nil for a record.
	Span *tracebuf.Interval
	// Name is the span's name, "" to take the record's.
	Name string
	// Thread is "" where it is not known, Guest where there is only one.
	Thread, Guest string
	// CPU is -1 where it is not known.
	CPU int
}

// truth has three values: what is not known is neither.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

type node interface{ eval(*Subject) truth }

// Match tells whether the expression is true of s.
func (f *Filter) Match(s *Subject) bool { return f.root == nil || f.root.eval(s) == yes }

// Empty reports whether everything matches.
func (f *Filter) Empty() bool { return f.root == nil }

type (
	orNode    struct{ a, b node }
	andNode   struct{ a, b node }
	notNode   struct{ a node }
	constNode bool
	truthNode struct{ w word }
	intNode   struct {
		w   word
		op  string
		v   int64
		neg bool
	}
	textNode struct {
		w  word
		re *regexp.Regexp
	}
)

func (n orNode) eval(s *Subject) truth  { return max3(n.a.eval(s), n.b, s, yes) }
func (n andNode) eval(s *Subject) truth { return max3(n.a.eval(s), n.b, s, no) }

// max3 is the truth of a and b where strong decides alone.
func max3(a truth, b node, s *Subject, strong truth) truth {
	if a == strong {
		return strong
	}
	switch v := b.eval(s); {
	case v == strong:
		return strong
	case a == unknown || v == unknown:
		return unknown
	default:
		return v
	}
}

func (n notNode) eval(s *Subject) truth {
	switch n.a.eval(s) {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

func (n constNode) eval(*Subject) truth { return truthOf(bool(n)) }

func (n truthNode) eval(s *Subject) truth {
	switch v := n.w.get(s); v.kind {
	case isInt:
		return truthOf(v.num != 0)
	case isText:
		return truthOf(len(v.text) > 0)
	}
	return unknown
}

func (n intNode) eval(s *Subject) truth {
	v := n.w.get(s)
	if v.kind != isInt {
		return unknown
	}
	c := compare(v.num, v.signed, n.v, n.neg)
	switch n.op {
	case "==":
		return truthOf(c == 0)
	case "!=":
		return truthOf(c != 0)
	case "<":
		return truthOf(c < 0)
	case "<=":
		return truthOf(c <= 0)
	case ">":
		return truthOf(c > 0)
	}
	return truthOf(c >= 0)
}

// compare orders an argument and a written number, each of 64 bits and negative
// only if it has a sign.
func compare(a int64, signed bool, b int64, neg bool) int {
	aNeg := signed && a < 0
	switch {
	case aNeg && !neg:
		return -1
	case neg && !aNeg:
		return 1
	case uint64(a) < uint64(b):
		return -1
	case uint64(a) > uint64(b):
		return 1
	}
	return 0
}

func (n textNode) eval(s *Subject) truth {
	v := n.w.get(s)
	if v.kind != isText {
		return unknown
	}
	return truthOf(n.re.Match(v.text))
}
