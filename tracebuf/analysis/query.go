package analysis

import (
	"regexp"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/filter"
)

// Moment is a point in time: by the guest's clock since its boot, relative to
// the first record, or by the host's clock.
type Moment struct {
	Set bool
	// Guest is in nanoseconds, since boot or with Relative since the first
	// record.
	Guest    uint64
	Relative bool
	// Unix is the host's time in nanoseconds, if not 0.
	Unix int64
}

// Query chooses records and spans. The zero Query chooses all.
type Query struct {
	// From and To bound the time; of a span, that of its begin. To is exclusive.
	From, To Moment
	// Names, Threads are patterns with * and ?; one of them must fit. A span has
	// the name of its begin, and a record that ends a span fits that too.
	Names, Threads []string
	// CPUs are processors; records that do not tell theirs are left out.
	CPUs []int
	// Where is an expression, nil for none.
	Where *filter.Filter
	// Sample keeps one of so many of what was chosen, 0 for all.
	Sample uint64
}

// patterns match a name against several patterns.
type patterns []*regexp.Regexp

func compile(globs []string) patterns {
	var out patterns
	for _, g := range globs {
		// filter.Glob quotes everything that could be wrong.
		out = append(out, regexp.MustCompile(filter.Glob(g)))
	}
	return out
}

func (p patterns) match(s string) bool {
	if len(p) == 0 {
		return true
	}
	for _, re := range p {
		if re.MatchString(s) {
			return true
		}
	}
	return false
}

// window is the query's time for one guest.
type window struct {
	from, to         uint64
	unixFrom, unixTo int64
	any              bool
}

// window resolves relative moments by the guest's first record.
func (q *Query) window(first uint64) window {
	w := window{to: ^uint64(0)}
	if m := q.From; m.Set {
		w.any = true
		switch {
		case m.Unix != 0:
			w.unixFrom = m.Unix
		case m.Relative:
			w.from = first + m.Guest
		default:
			w.from = m.Guest
		}
	}
	if m := q.To; m.Set {
		w.any = true
		switch {
		case m.Unix != 0:
			w.unixTo = m.Unix
		case m.Relative:
			w.to = first + m.Guest
		default:
			w.to = m.Guest
		}
	}
	return w
}

// holds tells whether a moment lies in the window; unix is asked for only where
// it is needed, and 0 where it is not known, which is in no window.
func (w *window) holds(guest uint64, unix func() int64) bool {
	if !w.any {
		return true
	}
	if guest < w.from || guest >= w.to {
		return false
	}
	if w.unixFrom == 0 && w.unixTo == 0 {
		return true
	}
	u := unix()
	return u != 0 && u >= w.unixFrom && (w.unixTo == 0 || u < w.unixTo)
}

// cpuOf is the processor that recorded, -1 where the record does not tell.
func cpuOf(r *tracebuf.Record) int {
	if r.Ext == nil {
		return -1
	}
	return int(r.Ext.CPU)
}
