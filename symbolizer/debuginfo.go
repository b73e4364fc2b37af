package symbolizer

import (
	"fmt"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/line"
)

// debugInfo is the lazy reader of functions and lines.
type debugInfo struct {
	once  sync.Once
	data  *dies.Data // nil without DWARF
	line  line.Sections
	err   error    // why data is nil, or what of it is damaged
	lines sync.Map // offset of a unit → *unitLines
}

// dwarf returns the reader, nil if there is no DWARF.
func (im *Image) dwarf() *dies.Data {
	d := &im.info
	d.once.Do(func() {
		if !im.HasDWARF() {
			d.err = fmt.Errorf("%s: %w", im.Path, ErrNoDWARF)
			return
		}
		get := func(name string) []byte {
			b, err := im.SectionData(".debug_" + name)
			if err != nil && d.err == nil {
				d.err = err
			}
			return b
		}
		d.line = line.Sections{Line: get("line"), LineStr: get("line_str"), Str: get("str")}
		d.data = dies.New(dies.Sections{
			Info: get("info"), Abbrev: get("abbrev"), Str: d.line.Str, LineStr: d.line.LineStr,
			StrOffsets: get("str_offsets"), Addr: get("addr"), Ranges: get("ranges"),
			Rnglists: get("rnglists"), Aranges: get("aranges"),
		})
	})
	return d.data
}

// unitLines is the line program of one unit. The header is read first, which is
// enough to know its files; the program is run when rows are asked for.
type unitLines struct {
	headOnce, rowsOnce sync.Once
	sec                line.Sections
	unit               *dies.Unit
	header             *line.Header
	table              *line.Table // never nil after rows
	err                error

	mu    sync.Mutex
	paths map[uint32]string
}

func (im *Image) linesOf(u *dies.Unit) *unitLines {
	if v, ok := im.info.lines.Load(u.Offset); ok {
		return v.(*unitLines)
	}
	v, _ := im.info.lines.LoadOrStore(u.Offset, &unitLines{sec: im.info.line, unit: u})
	return v.(*unitLines)
}

// head returns the program's header, nil if there is none or it is damaged.
func (l *unitLines) head() *line.Header {
	l.headOnce.Do(func() {
		if !l.unit.HasLines || len(l.sec.Line) == 0 {
			return
		}
		l.header, l.err = line.ParseHeader(l.sec, l.unit.Lines, l.unit.CompDir, l.unit.Name)
	})
	return l.header
}

// rows returns the program's rows, an empty table if there are none.
func (l *unitLines) rows() *line.Table {
	l.rowsOnce.Do(func() {
		l.table = &line.Table{}
		if h := l.head(); h != nil {
			l.table, l.err = h.Rows()
		}
	})
	return l.table
}

// path returns the name of file i.
func (l *unitLines) path(i uint32) string {
	h := l.head()
	if h == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.paths[i]; ok {
		return p
	}
	if l.paths == nil {
		l.paths = map[uint32]string{}
	}
	p := h.Path(i)
	if int(i) < len(h.Files) {
		l.paths[i] = p
	}
	return p
}

// reason says why a unit gives no line for an address.
func (l *unitLines) reason() string {
	switch {
	case l.err != nil:
		return l.err.Error()
	case !l.unit.HasLines:
		return "its unit has no line table"
	}
	return "not in its unit's line table"
}
