package symbolizer

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/line"
)

// SourceFiles returns the names of all source files of the debug information,
// sorted. Only headers of line programs are read.
func (im *Image) SourceFiles() []string {
	var out []string
	seen := map[string]bool{}
	for _, u := range im.codeUnits() {
		l := im.linesOf(u)
		if h := l.head(); h != nil {
			for i := range h.Files {
				if p := l.path(uint32(i)); p != "" && !seen[p] {
					seen[p] = true
					out = append(out, p)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func (im *Image) codeUnits() []*dies.Unit {
	d := im.dwarf()
	if d == nil {
		return nil
	}
	units, _ := d.Units()
	return slices.DeleteFunc(slices.Clone(units), func(u *dies.Unit) bool { return !u.HasCode() })
}

// FileMatches reports whether a file's full name ends in what a person typed,
// by whole path parts: "disk.c" and "fs/disk.c" match "/src/fs/disk.c".
func FileMatches(full, typed string) bool {
	full, typed = path.Clean(full), path.Clean(typed)
	return full == typed || strings.HasSuffix(full, "/"+strings.TrimPrefix(typed, "./"))
}

// LineAddrs returns where to stop for a line of a source file, which is named by
// the end of its path: one place for each function, or inlined copy, that has
// code of the line. Where the line has no code, the next line that has some is
// taken; got says which. At a function's start the place is past its prologue.
// The error wraps ErrNoFile, ErrNoLine or ErrNoDWARF.
func (im *Image) LineAddrs(file string, want int) (places []Place, got int, err error) {
	if im.dwarf() == nil {
		return nil, 0, im.info.err
	}
	var hits []lineHit
	found := false
	for _, u := range im.codeUnits() {
		l := im.linesOf(u)
		match := l.filesMatching(file)
		found = found || match != nil
		if match != nil {
			hits, got = im.lineHits(u, l, match, uint32(max(want, 1)), hits, got)
		}
	}
	if !found {
		return nil, 0, fmt.Errorf("%s: %w", file, ErrNoFile)
	}
	if len(hits) == 0 {
		return nil, 0, fmt.Errorf("%s:%d: %w", file, want, ErrNoLine)
	}
	slices.SortStableFunc(hits, func(a, b lineHit) int { return cmp.Compare(a.addr, b.addr) })
	seen := map[instance]bool{}
	for _, h := range hits {
		if seen[h.in] {
			continue
		}
		seen[h.in] = true
		addr := h.addr
		if h.atEntry {
			addr = im.AfterPrologue(addr)
		}
		places = append(places, im.place(addr))
	}
	return places, got, nil
}

// instance is one function or inlined copy.
type instance struct {
	unit uint64
	fn   int
}

type lineHit struct {
	addr    uint64
	in      instance
	atEntry bool
}

// filesMatching returns the set of file indices that a person's name means, nil
// if none.
func (l *unitLines) filesMatching(file string) map[uint32]bool {
	h := l.head()
	if h == nil {
		return nil
	}
	var m map[uint32]bool
	base := path.Base(file)
	for i := range h.Files {
		if !strings.HasSuffix(string(h.Files[i].Name), base) || !FileMatches(l.path(uint32(i)), file) {
			continue
		}
		if m == nil {
			m = map[uint32]bool{}
		}
		m[uint32(i)] = true
	}
	return m
}

// lineHits adds the rows of one unit that start code of the best line so far:
// the lowest at or after want.
func (im *Image) lineHits(u *dies.Unit, l *unitLines, files map[uint32]bool, want uint32, hits []lineHit, got int) ([]lineHit, int) {
	funcs := u.Functions()
	t := l.rows()
	for i, r := range t.Rows {
		if r.Line < want || got != 0 && int(r.Line) > got || r.Flags&line.IsStmt == 0 ||
			r.Flags&line.EndSequence != 0 || !files[r.File] || !im.isCode(r.Addr) {
			continue
		}
		// A row without code of its own is passed over by the processor.
		if next := t.Rows[i+1]; next.Addr == r.Addr && next.Line != r.Line {
			continue
		}
		if int(r.Line) < got || got == 0 {
			hits, got = hits[:0], int(r.Line)
		}
		fn := funcs.Find(r.Addr)
		hits = append(hits, lineHit{r.Addr, instance{u.Offset, fn}, isEntry(funcs, fn, r.Addr)})
	}
	return hits, got
}

func isEntry(t *dies.FuncTable, fn int, addr uint64) bool {
	return fn >= 0 && !t.Funcs[fn].Inline && t.Funcs[fn].Entry == addr
}

// LineRows returns the rows of line tables from start up to end, in the order
// of addresses.
func (im *Image) LineRows(start, end uint64) []LineRow {
	var out []LineRow
	for addr := start; addr < end; {
		r, ok := im.Line(addr)
		if !ok {
			next, ok := im.nextFunction(addr)
			if !ok {
				break
			}
			addr = next
			continue
		}
		out = append(out, r)
		addr = r.End
	}
	return out
}

// nextFunction returns the address of the first symbol of code past addr.
func (im *Image) nextFunction(addr uint64) (uint64, bool) {
	t := im.symbols()
	i, _ := slices.BinarySearchFunc(t.syms, addr, func(e symEntry, a uint64) int {
		if e.addr <= a {
			return -1
		}
		return 1
	})
	for ; i < len(t.syms); i++ {
		if t.syms[i].code {
			return t.syms[i].addr, true
		}
	}
	return 0, false
}
