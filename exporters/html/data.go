package html

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/folded"
)

// data is what the page shows.
type data struct {
	opt     Options
	rows    map[string]*latency // by name
	order   []*latency
	spans   longest
	total   int
	events  []shown
	more    int // events that are not shown
	first   int64
	last    int64
	strings table
	threads table
}

func newData(opt Options) *data {
	return &data{opt: opt, rows: map[string]*latency{}, first: 1<<63 - 1}
}

// table numbers strings.
type table struct {
	index map[string]int
	list  []string
}

func (t *table) number(s string) int {
	if i, ok := t.index[s]; ok {
		return i
	}
	if t.index == nil {
		t.index = map[string]int{}
	}
	t.index[s] = len(t.list)
	t.list = append(t.list, s)
	return len(t.list) - 1
}

// maxNames bounds the rows of the latency table.
const maxNames = 4096

// otherNames is the row of the names beyond.
const otherNames = "other names"

// watch passes the spans on and keeps what the page shows of them.
func (d *data) watch(spans iter.Seq2[exporters.Span, error]) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		for s, err := range spans {
			if err == nil {
				d.span(&s)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

func (d *data) span(s *exporters.Span) {
	d.total++
	d.first, d.last = min(d.first, s.Start), max(d.last, s.End)
	name := s.Name
	if d.rows[name] == nil && len(d.rows) >= maxNames {
		name = otherNames
	}
	row := d.rows[name]
	if row == nil {
		row = &latency{name: name}
		d.rows[name] = row
		d.order = append(d.order, row)
	}
	row.add(max(s.End-s.Start, 0), s.Err)
	switch {
	case len(d.spans) < d.opt.MaxSpans:
		heap.Push(&d.spans, d.shown(s))
	case s.End-s.Start > d.spans[0].end-d.spans[0].start:
		d.spans[0] = d.shown(s)
		heap.Fix(&d.spans, 0)
	}
}

// shown is what the timeline keeps of a span or, with end as start, of a record:
// as little as it will show, for guests write as much as they like.
type shown struct {
	thread, name string
	start, end   int64
	failed       bool
	text         string
}

func (d *data) shown(s *exporters.Span) shown {
	text := attributes(s.Attrs)
	if s.Err {
		text = s.ErrText + " " + text
	}
	return shown{folded.ThreadName(s.Thread), s.Name, s.Start, s.End, s.Err, cut(text)}
}

// longest is a heap of spans, the shortest on top.
type longest []shown

func (l longest) Len() int           { return len(l) }
func (l longest) Less(i, j int) bool { return l[i].end-l[i].start < l[j].end-l[j].start }
func (l longest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *longest) Push(x any)        { *l = append(*l, x.(shown)) }
func (l *longest) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

func (d *data) instants(events iter.Seq2[exporters.Event, error]) error {
	if events == nil {
		return nil
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		d.first, d.last = min(d.first, e.Time), max(d.last, e.Time)
		if len(d.events) == d.opt.MaxInstants {
			d.more++
			continue
		}
		d.events = append(d.events, shown{
			thread: folded.ThreadName(e.Thread), name: e.Name, start: e.Time, end: e.Time, text: cut(attributes(e.Attrs)),
		})
	}
	return nil
}

// maxText bounds the attributes shown of one span, in bytes.
const maxText = 300

// encode returns the JSON that page.js reads. Times are nanoseconds from the
// first one, which JavaScript holds exactly for 104 days.
func (d *data) encode(name string, clock exporters.Clock, tree *folded.Node) []byte {
	if d.first > d.last {
		d.first, d.last = 0, 0
	}
	b := append([]byte(nil), `{"name":`...)
	b = exporters.AppendJSONString(b, name)
	b = number(b, `,"first":"`, d.first)
	b = append(b, '"')
	if !clock.IsZero() {
		unix, _ := clock.Unix(d.first)
		b = number(b, `,"unixMs":`, unix/1e6)
	}
	b = number(b, `,"length":`, d.last-d.first)
	b = number(b, `,"total":`, int64(d.total))
	b = number(b, `,"moreEvents":`, int64(d.more))
	b = d.rowsJSON(b)
	b = d.spansJSON(b)
	b = append(b, `,"tree":`...)
	limit := maxNodes
	b = treeJSON(b, tree, tree.Total/minShare, &limit)
	b = listJSON(append(b, `,"threads":`...), d.threads.list)
	b = listJSON(append(b, `,"strings":`...), d.strings.list)
	return append(b, '}')
}

func number(b []byte, key string, v int64) []byte { return strconv.AppendInt(append(b, key...), v, 10) }

func listJSON(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = exporters.AppendJSONString(b, s)
	}
	return append(b, ']')
}

// rowsJSON appends the latency table: name, count, errors, p50, p90, p99, p99.9,
// max and total.
func (d *data) rowsJSON(b []byte) []byte {
	b = append(b, `,"rows":[`...)
	slices.SortStableFunc(d.order, func(a, b *latency) int {
		switch {
		case a.total > b.total:
			return -1
		case a.total < b.total:
			return 1
		}
		return 0
	})
	for i, r := range d.order {
		if i > 0 {
			b = append(b, ',')
		}
		b = exporters.AppendJSONString(append(b, '['), r.name)
		h := &r.durations
		for _, v := range []uint64{h.Count(), r.errors, h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.Quantile(0.999), h.Max(), uint64(r.total)} {
			b = number(b, ",", int64(v))
		}
		b = append(b, ']')
	}
	return append(b, ']')
}

// spansJSON appends the timeline: spans as thread, name, start, duration, error
// and text, outer before inner, and instants as thread, name, time and text.
func (d *data) spansJSON(b []byte) []byte {
	slices.SortFunc(d.spans, func(x, y shown) int {
		return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(y.end, x.end))
	})
	b = append(b, `,"spans":[`...)
	for i := range d.spans {
		s := &d.spans[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = number(b, "[", int64(d.threads.number(s.thread)))
		b = number(b, ",", int64(d.strings.number(s.name)))
		b = number(b, ",", s.start-d.first)
		b = number(b, ",", max(s.end-s.start, 0))
		if s.failed {
			b = append(b, ",1,"...)
		} else {
			b = append(b, ",0,"...)
		}
		b = append(exporters.AppendJSONString(b, s.text), ']')
	}
	b = append(b, `],"events":[`...)
	for i := range d.events {
		e := &d.events[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = number(b, "[", int64(d.threads.number(e.thread)))
		b = number(b, ",", int64(d.strings.number(e.name)))
		b = number(b, ",", e.start-d.first)
		b = append(exporters.AppendJSONString(append(b, ','), e.text), ']')
	}
	return append(b, ']')
}

func attributes(attrs []exporters.Attr) string {
	if len(attrs) == 0 {
		return ""
	}
	return string(exporters.AppendJSON(nil, attrs))
}

// cut returns a text of its own that is short enough to be shown.
func cut(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "…"
	}
	return strings.Clone(s)
}

// A flame graph shows no node of less than one part in minShare, and at most
// maxNodes.
const (
	minShare = 2000
	maxNodes = 5000
)

// treeJSON appends a node as name, total, self, count and children.
func treeJSON(b []byte, n *folded.Node, least int64, limit *int) []byte {
	*limit--
	b = exporters.AppendJSONString(append(b, '['), n.Name)
	b = number(b, ",", n.Total)
	b = number(b, ",", n.Self)
	b = number(b, ",", int64(n.Count))
	b = append(b, ",["...)
	some := false
	for _, c := range n.Children {
		if c.Total < least || *limit <= 0 {
			break // the children are sorted by Total
		}
		if some {
			b = append(b, ',')
		}
		some = true
		b = treeJSON(b, c, least, limit)
	}
	return append(b, "]]"...)
}
