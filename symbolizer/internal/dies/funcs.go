package dies

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"slices"
	"sort"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Func is a function with code of its own, or one inlined call.
type Func struct {
	// DIE is the offset of its entry in .debug_info.
	DIE uint64
	// Parent is the index of the function or inlined call it is inlined into,
	// -1 for a function.
	Parent int32
	// Inline tells an inlined call.
	Inline bool
	// Entry is where it starts.
	Entry uint64
	// CallFile, CallLine and CallColumn tell where an inlined call stands;
	// CallFile indexes the unit's file table.
	CallFile, CallLine, CallColumn uint32
	// Ranges is its code, as FuncTable.Ranges[First:First+N].
	First, N int32
}

// Span says that the innermost function of the code from Start to End is
// Funcs[Func].
type Span struct {
	Start, End uint64
	Func       int32
}

// FuncTable holds the functions of a unit.
type FuncTable struct {
	Funcs  []Func
	Ranges []Range
	// Spans do not overlap and are ordered by address.
	Spans []Span
	// Err is the damage that ended the reading early, nil if none.
	Err error

	// Storage of the reading.
	open   []int32
	pieces []piece
}

// reset empties the table and keeps its storage.
func (t *FuncTable) reset() {
	*t = FuncTable{Funcs: t.Funcs[:0], Ranges: t.Ranges[:0], Spans: t.Spans[:0], open: t.open, pieces: t.pieces[:0]}
}

// Find returns the index of the innermost function at addr, -1 if none.
func (t *FuncTable) Find(addr uint64) int { return findSpan(t.Spans, addr) }

// findSpan returns the function of the span that holds addr, -1 if none does.
func findSpan(spans []Span, addr uint64) int {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].Start > addr })
	if i == 0 || addr >= spans[i-1].End {
		return -1
	}
	return int(spans[i-1].Func)
}

// RangesOf returns the code of a function, the part with its entry first.
func (t *FuncTable) RangesOf(i int) []Range {
	f := &t.Funcs[i]
	return t.Ranges[f.First : f.First+f.N]
}

// Functions returns the unit's functions and inlined calls; they are read the
// first time.
func (u *Unit) Functions() *FuncTable {
	u.funcsOnce.Do(func() {
		t := &u.funcs
		full, err := u.Full()
		if t.Err = err; err == nil {
			t.Err = full.scan(full.First, t)
		}
		t.flatten()
		t.open, t.pieces = nil, nil
	})
	return &u.funcs
}

var errEntries = errors.New("entries are damaged")

// scan reads the entry at start and all inside it once, in order.
func (u *Unit) scan(start uint64, t *FuncTable) error {
	r := u.reader(start)
	open := t.open[:0] // for each open entry, the function it belongs to
	owner := int32(-1)
	left := u.wholeBudget()
	for r.Len() > 0 {
		die := u.src.base + r.Offset()
		code := r.Uleb()
		if code == 0 {
			if len(open) == 0 {
				break // padding
			}
			owner = open[len(open)-1]
			if open = open[:len(open)-1]; len(open) == 0 {
				break
			}
			continue
		}
		a := u.abbrevs.find(code)
		if a == nil {
			return errEntries
		}
		inside := owner
		switch a.tag {
		case dwarf.TagSubprogram:
			inside = u.function(&r, a, die, t, -1, &left)
		case dwarf.TagInlinedSubroutine:
			if i := u.function(&r, a, die, t, owner, &left); i >= 0 {
				inside = i
			}
		default:
			u.pass(&r, a)
		}
		if r.Failed() {
			return errEntries
		}
		if a.children {
			open = append(open, owner)
			owner = inside
		} else if len(open) == 0 {
			break
		}
	}
	t.open = open
	return nil
}

// function reads a function or inlined call and returns its index, or -1 if it
// has no code.
func (u *Unit) function(r *dwbuf.Reader, a *abbrev, die uint64, t *FuncTable, parent int32, left *budget) int32 {
	f := Func{DIE: die, Parent: parent, Inline: a.tag == dwarf.TagInlinedSubroutine}
	var p pcs
	for _, fl := range u.abbrevs.of(a) {
		v := u.value(r, fl)
		switch v.Attr {
		case dwarf.AttrCallFile:
			f.CallFile = uint32(v.U)
		case dwarf.AttrCallLine:
			f.CallLine = uint32(v.U)
		case dwarf.AttrCallColumn:
			f.CallColumn = uint32(v.U)
		default:
			p.take(u, &v)
		}
	}
	if r.Failed() || f.Inline && parent < 0 {
		return -1
	}
	f.First = int32(len(t.Ranges))
	t.Ranges = u.rangesOf(p, t.Ranges, left)
	f.N = int32(len(t.Ranges)) - f.First
	if f.N == 0 {
		return -1
	}
	f.Entry = t.Ranges[f.First].Start
	switch {
	case p.hasEntry && p.entryIsOffset:
		f.Entry += p.entry
	case p.hasEntry:
		f.Entry = p.entry
	case p.hasLow && !p.hasHigh && !p.hasList:
		f.Entry = p.low
	}
	t.Funcs = append(t.Funcs, f)
	return int32(len(t.Funcs) - 1)
}

// maxNest bounds how many functions may cover one address at once; compilers
// stay far below.
const maxNest = 256

// piece is a run of code of function fn.
type piece struct {
	Range
	fn int32
}

// flatten makes Spans of Funcs.
func (t *FuncTable) flatten() {
	for i := range t.Funcs {
		for _, r := range t.RangesOf(i) {
			t.pieces = append(t.pieces, piece{r, int32(i)})
		}
	}
	t.Spans = flatten(t.pieces, t.Spans)
}

// flatten adds spans that do not overlap to out: at each address the function
// that was opened last, which is the innermost, for entries come before those
// inside them. It sorts pieces.
func flatten(pieces []piece, out []Span) []Span {
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.fn, b.fn))
	})
	var few [8]piece
	active := few[:0] // ordered by fn
	at := uint64(0)
	// emit gives the code from at to end to the innermost open function,
	// closing those that end before.
	emit := func(end uint64) {
		for len(active) > 0 && at < end {
			stop := end
			for _, p := range active {
				stop = min(stop, p.End)
			}
			if stop > at {
				out = addSpan(out, Span{at, stop, active[len(active)-1].fn})
				at = stop
			}
			active = slices.DeleteFunc(active, func(p piece) bool { return p.End <= at })
		}
		at = end
	}
	for _, p := range pieces {
		emit(p.Start)
		if len(active) == maxNest {
			continue
		}
		i := len(active)
		for i > 0 && active[i-1].fn > p.fn {
			i--
		}
		active = slices.Insert(active, i, p)
	}
	emit(^uint64(0))
	return out
}

func addSpan(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].End == s.Start && spans[n-1].Func == s.Func {
		spans[n-1].End = s.End
		return spans
	}
	return append(spans, s)
}
