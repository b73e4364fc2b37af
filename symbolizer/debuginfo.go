package symbolizer

import (
	"cmp"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/line"
)

// debugInfo is the lazy reader of functions and lines.
type debugInfo struct {
	once  sync.Once
	data  *dies.Data // nil without DWARF
	err   error      // why data is nil, or what of it is damaged
	lines sync.Map   // offset of a unit → *unitLines
}

// dwarf returns the reader, nil if there is no DWARF.
func (im *Image) dwarf() *dies.Data {
	d := &im.info
	d.once.Do(func() {
		if !im.HasDWARF() {
			d.err = im.NoDWARF()
			return
		}
		get := func(name string) []byte {
			b, err := im.SectionData(name)
			if err != nil && d.err == nil {
				d.err = err
			}
			return b
		}
		sec := dies.SectionsOf(get)
		sec.BigEndian, sec.Split = im.bigEndian, im.splitSections
		sec.SplitTypes, sec.SplitType = im.splitTypes, im.splitTypeSections
		if alt := im.apart.alt; alt != nil {
			shared := dies.SectionsOf(alt.Section)
			shared.BigEndian, sec.Alt = alt.bigEndian, &shared
		}
		d.data = dies.New(sec)
	})
	return d.data
}

// Entries returns the debug information as the packages below this one read it.
// The error wraps ErrNoDWARF when there is none.
func (im *Image) Entries() (*dies.Data, error) {
	d := im.dwarf()
	if d == nil {
		return nil, im.info.err
	}
	if _, err := d.Units(); !d.HasUnits() {
		return nil, cmp.Or(err, im.info.err, error(ErrNoDWARF))
	}
	return d, nil
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
	v, _ := im.info.lines.LoadOrStore(u.Offset, im.newLines(u))
	return v.(*unitLines)
}

func (im *Image) newLines(u *dies.Unit) *unitLines {
	sec := line.Sections{BigEndian: im.bigEndian}
	sec.Line, sec.LineStr, sec.Str = u.LineSections()
	return &unitLines{sec: sec, unit: u}
}

// head returns the program's header, nil if there is none or it is damaged.
func (l *unitLines) head() *line.Header {
	l.headOnce.Do(func() {
		info := l.unit.Info()
		if !info.HasLines || len(l.sec.Line) == 0 {
			return
		}
		l.header, l.err = line.ParseHeader(l.sec, info.Lines, info.CompDir, info.Name)
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
	case !l.unit.Info().HasLines:
		return "its unit has no line table"
	}
	return "not in its unit's line table"
}
