package dies

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Sections are the DWARF sections of one file, each without its leading
// ".debug_"; nil for one that is not there.
type Sections struct {
	Info, Types, Abbrev, Str, Line, LineStr, StrOffsets, Addr []byte
	Ranges, Rnglists, Aranges                                 []byte
	// Loc and Loclists give sections that only values of variables need, nil
	// if there is none.
	Loc, Loclists func() []byte
	// Alt are the sections of the supplementary file, nil if there is none.
	Alt *Sections
	// Split gives the sections of the .dwo file, or of the part of a .dwp file,
	// with the entries of a skeleton unit; nil where none can be had.
	Split func(SplitName) (*Sections, error)
	// SplitTypes lists the type units in a .dwp file by signature; nil without.
	SplitTypes func() []uint64
	// SplitType gives those of a type unit in a .dwp file by its signature, nil
	// if it has none.
	SplitType func(signature uint64) *Sections
	// BigEndian tells the order of the bytes of numbers.
	BigEndian bool
}

// numbers reads one of the sections from off.
func (s *Sections) numbers(b []byte, off uint64) dwbuf.Reader {
	return dwbuf.NewOrder(b, off, s.BigEndian)
}

// Data is the debug information of one image. It may be used by many
// goroutines.
type Data struct {
	mu sync.Mutex
	// whole are the sections of the image and of its supplementary file; sources
	// are these and those of .dwo files that were opened, which mu guards.
	whole, sources []*source
	abbrevs        map[abbrevKey]*abbrevTable
	units          map[uint64]*Unit

	listOnce sync.Once
	list     []*Unit
	listErr  error
	types    map[uint64]*Unit // type units by signature
	// splitTypes are those in .dwo files that were opened; mu guards it.
	splitTypes map[uint64]*Unit
	hasSplit   atomic.Bool
	indexOnce  sync.Once
	index      addrIndex
	restOnce   sync.Once
	rest       addrIndex
}

// source is a section with units, and the sections those refer to.
type source struct {
	sec  *Sections
	info []byte // sec.Info or sec.Types
	base uint64 // what is added to offsets in info
	alt  *source
	// skeleton is the unit that a .dwo file completes, and units are those in it.
	skeleton *Unit
	units    []*Unit
	// types: units have the header of .debug_types.
	types bool
}

// sourceShift is where the number of the source begins in an offset.
const sourceShift = 48

// New prepares the reading of debug information; it looks at nothing yet.
func New(sec Sections) *Data {
	d := &Data{abbrevs: map[abbrevKey]*abbrevTable{}, units: map[uint64]*Unit{}, splitTypes: map[uint64]*Unit{}}
	d.add(&sec, sec.Info, false)
	if len(sec.Types) > 0 {
		d.add(&sec, sec.Types, true)
	}
	if sec.Alt != nil {
		alt := d.add(sec.Alt, sec.Alt.Info, false)
		for _, src := range d.sources[:len(d.sources)-1] {
			src.alt = alt
		}
	}
	d.whole = slices.Clone(d.sources)
	return d
}

// SectionsOf makes Sections of what section gives by whole names, nil for those
// that are not there.
func SectionsOf(section func(name string) []byte) Sections {
	return Sections{
		Info: section(".debug_info"), Types: section(".debug_types"), Abbrev: section(".debug_abbrev"),
		Str: section(".debug_str"), Line: section(".debug_line"), LineStr: section(".debug_line_str"), StrOffsets: section(".debug_str_offsets"),
		Addr: section(".debug_addr"), Ranges: section(".debug_ranges"), Rnglists: section(".debug_rnglists"),
		Aranges:  section(".debug_aranges"),
		Loc:      func() []byte { return section(".debug_loc") },
		Loclists: func() []byte { return section(".debug_loclists") },
	}
}

func (d *Data) add(sec *Sections, info []byte, types bool) *source {
	src := &source{sec: sec, info: info, base: uint64(len(d.sources)) << sourceShift, types: types}
	d.sources = append(d.sources, src)
	return src
}

// sourceOf returns the section an offset lies in, nil if none. d.mu is held.
func (d *Data) sourceOf(off uint64) *source {
	if i := off >> sourceShift; i < uint64(len(d.sources)) {
		return d.sources[i]
	}
	return nil
}

// FormatError says that debugging information is malformed.
type FormatError struct {
	Section string
	Off     uint64
	What    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("malformed DWARF: %s+%#x: %s", e.Section, e.Off, e.What)
}

func infoError(off uint64, format string, args ...any) error {
	section := ".debug_info"
	if off>>sourceShift != 0 {
		section = fmt.Sprintf("section %d of entries", off>>sourceShift)
	}
	return &FormatError{section, off & (1<<sourceShift - 1), fmt.Sprintf(format, args...)}
}
