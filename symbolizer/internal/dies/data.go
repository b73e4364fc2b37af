package dies

import (
	"fmt"
	"sync"
)

// Sections are the DWARF sections of one file, each without its leading
// ".debug_"; nil for one that is not there.
type Sections struct {
	Info, Types, Abbrev, Str, LineStr, StrOffsets, Addr []byte
	Ranges, Rnglists, Aranges                           []byte
	// Loc and Loclists give sections that only values of variables need, nil
	// if there is none.
	Loc, Loclists func() []byte
}

// Data is the debug information of one image. It may be used by many
// goroutines.
type Data struct {
	sources []*source

	mu      sync.Mutex
	abbrevs map[abbrevKey]*abbrevTable
	units   map[uint64]*Unit

	namesMu sync.Mutex
	names   map[uint64]Name

	listOnce  sync.Once
	list      []*Unit
	listErr   error
	types     map[uint64]*Unit // type units by signature
	indexOnce sync.Once
	index     addrIndex
	restOnce  sync.Once
	rest      addrIndex
}

// source is a section with units, and the sections those refer to.
type source struct {
	sec  *Sections
	info []byte // sec.Info or sec.Types
	base uint64 // what is added to offsets in info
	// types: units have the header of .debug_types.
	types bool
}

// sourceShift is where the number of the source begins in an offset.
const sourceShift = 48

// New prepares the reading of debug information; it looks at nothing yet.
func New(sec Sections) *Data {
	d := &Data{abbrevs: map[abbrevKey]*abbrevTable{}, units: map[uint64]*Unit{}, names: map[uint64]Name{}}
	d.add(&sec, sec.Info, false)
	if len(sec.Types) > 0 {
		d.add(&sec, sec.Types, true)
	}
	return d
}

// FromSections is New with the sections that section gives by their whole names,
// nil for those that are not there.
func FromSections(section func(name string) []byte) *Data {
	return New(Sections{
		Info: section(".debug_info"), Types: section(".debug_types"), Abbrev: section(".debug_abbrev"),
		Str: section(".debug_str"), LineStr: section(".debug_line_str"), StrOffsets: section(".debug_str_offsets"),
		Addr: section(".debug_addr"), Ranges: section(".debug_ranges"), Rnglists: section(".debug_rnglists"),
		Aranges:  section(".debug_aranges"),
		Loc:      func() []byte { return section(".debug_loc") },
		Loclists: func() []byte { return section(".debug_loclists") },
	})
}

func (d *Data) add(sec *Sections, info []byte, types bool) {
	d.sources = append(d.sources, &source{sec: sec, info: info, base: uint64(len(d.sources)) << sourceShift, types: types})
}

// sourceOf returns the section an offset lies in, nil if none.
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
