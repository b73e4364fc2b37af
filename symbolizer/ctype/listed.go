package ctype

import (
	"slices"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/internal/names"
)

// listed is the index by .debug_names: it tells which units to read for a name.
// What counts is what is found there, together with what is in units that the
// section does not cover. Where that is no definition, all units are read, so that
// a section that is damaged or lies costs time and no more. What cannot be noticed
// is one that keeps silent about a further definition of a name: who needs all of
// them asks Types.fullIndex.
type listed struct {
	ts    *Types
	names *names.Index
	units map[uint64]*dies.Unit // by offset
	rest  []uint64              // units the section does not cover

	mu   sync.Mutex
	tops map[uint64]*top

	wholeOnce sync.Once
	whole     *scanned
}

// listedIndex returns the index by a section .debug_names; nil if there is none, if
// it is damaged, or if it covers less than half of the units.
func (ts *Types) listedIndex(section, str []byte) index {
	if len(section) == 0 {
		return nil
	}
	ix, err := names.Parse(section, str)
	if err != nil {
		return nil
	}
	l := &listed{ts: ts, names: ix, units: map[uint64]*dies.Unit{}, tops: map[uint64]*top{}}
	covered := ix.Listed()
	units, _ := ts.d.Units()
	for _, u := range units {
		if u.Type == dies.Skeleton {
			return nil // names are in its .dwo file
		}
		l.units[u.Offset] = u
		if _, ok := slices.BinarySearch(covered, u.Offset); !ok {
			l.rest = append(l.rest, u.Offset)
		}
	}
	if len(l.rest) > len(units)/2 {
		return nil
	}
	return l
}

// all reads every unit.
func (l *listed) all() *scanned {
	l.wholeOnce.Do(func() {
		ix, err := l.ts.scan()
		if err != nil {
			l.whole = &scanned{} // not one unit can be read
			return
		}
		l.whole = ix
		l.ts.offerIndex(ix)
	})
	return l.whole
}

// fullIndex is the index made of all units.
func (ts *Types) fullIndex() (index, error) {
	ix, err := ts.index()
	if l, ok := ix.(*listed); ok {
		return l.all(), err
	}
	return ix, err
}

func (l *listed) variables(f func(n *named)) { l.all().variables(f) }
func (l *listed) enumTypes() []uint64        { return l.all().enumTypes() }

func (l *listed) each(name string, c class, f func(n *named) bool) {
	defined := false
	if units, ok := l.names.Units(name); ok && len(units) > 0 {
		units = append(units, l.rest...)
		slices.Sort(units)
		for _, off := range slices.Compact(units) {
			t := l.top(off)
			more := t == nil || t.each(name, c, func(n *named) bool {
				defined = defined || !n.decl
				return n.decl || f(n)
			})
			if !more {
				return
			}
		}
	}
	if !defined {
		l.all().each(name, c, f)
	}
}

// top reads the top level of one unit, nil if there is none at off.
func (l *listed) top(off uint64) *top {
	u := l.units[off]
	if u == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tops[off]
	if t == nil {
		t = &top{}
		t.err = l.ts.scanUnit(t, u) // what is before the fault counts
		l.tops[off] = t
	}
	return t
}
