package dies

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Sections are the DWARF sections, each without its leading ".debug_".
type Sections struct {
	Info, Abbrev, Str, LineStr, StrOffsets, Addr, Ranges, Rnglists, Aranges []byte
}

// Data is the debug information of one image. It may be used by many
// goroutines.
type Data struct {
	sec Sections

	mu      sync.Mutex
	abbrevs map[abbrevKey]*abbrevTable
	units   map[uint64]*Unit

	namesMu sync.Mutex
	names   map[uint64]Name

	listOnce  sync.Once
	list      []*Unit
	listErr   error
	indexOnce sync.Once
	index     addrIndex
	restOnce  sync.Once
	rest      addrIndex
}

type abbrevKey struct {
	off uint64
	format
}

// New prepares the reading of debug information; it looks at nothing yet.
func New(sec Sections) *Data {
	return &Data{sec: sec, abbrevs: map[abbrevKey]*abbrevTable{}, units: map[uint64]*Unit{}, names: map[uint64]Name{}}
}

// Unit is one unit of .debug_info and the attributes of its root entry.
type Unit struct {
	// Offset is where its header starts and End where the next one does.
	Offset, End uint64
	Tag         dwarf.Tag
	// Name, CompDir and Producer are DW_AT_name, DW_AT_comp_dir and
	// DW_AT_producer, "" if absent.
	Name, CompDir, Producer string
	// Language is DW_AT_language, 0 if absent.
	Language uint64
	// Lines is the offset of its line program, if HasLines.
	Lines    uint64
	HasLines bool
	// Split is the name of the .dwo file that holds the rest, "" if none.
	Split string
	// Ranges is the code it says it covers, empty if it does not tell.
	Ranges []Range

	d       *Data
	format  format
	root    uint64 // offset of the root entry
	abbrevs *abbrevTable

	low                            uint64
	strOffBase, addrBase, rnglBase uint64
	hasRnglBase                    bool

	funcsOnce sync.Once
	funcs     FuncTable
}

const (
	utType      = 2
	utSkeleton  = 4
	utSplit     = 5
	utSplitType = 6

	atGNUDwoName    dwarf.Attr = 0x2130
	atGNURangesBase dwarf.Attr = 0x2132
	atGNUAddrBase   dwarf.Attr = 0x2133

	tagSkeleton dwarf.Tag = 0x4a
)

var errNoUnit = errors.New("no unit there")

// Units lists all units by offset, reading each header and root entry. Damage
// ends the list with an error; what came before is given.
func (d *Data) Units() ([]*Unit, error) {
	d.listOnce.Do(func() {
		for off := uint64(0); off < uint64(len(d.sec.Info)); {
			u, err := d.UnitAt(off)
			if u == nil {
				d.listErr = err
				return
			}
			if err != nil {
				d.listErr = err // this unit is damaged, its length is not
			} else {
				d.list = append(d.list, u)
			}
			off = u.End
		}
	})
	return d.list, d.listErr
}

// UnitAt returns the unit whose header is at off. With an error the unit is nil,
// or holds only where the next one is.
func (d *Data) UnitAt(off uint64) (*Unit, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.units[off]; u != nil {
		return u, nil
	}
	u, err := d.parseUnit(off)
	if err != nil {
		return u, fmt.Errorf("unit at %#x of .debug_info: %w", off, err)
	}
	d.units[off] = u
	return u, nil
}

func (d *Data) parseUnit(off uint64) (*Unit, error) {
	r := dwbuf.New(d.sec.Info, off)
	length, offSize := r.UnitLength()
	start := r.Offset()
	if r.Failed() || length > uint64(r.Len()) || length == 0 {
		return nil, errNoUnit
	}
	u := &Unit{Offset: off, End: start + length, d: d}
	r.Limit(length)
	u.format = format{version: int(r.U16()), offSize: offSize}
	var abbrevOff uint64
	unitType := uint8(0)
	if u.format.version >= 5 {
		unitType = r.U8()
		u.format.addrSize = int(r.U8())
		abbrevOff = r.Uint(offSize)
		switch unitType {
		case utSkeleton, utSplit:
			r.Skip(8)
		case utType, utSplitType:
			r.Skip(8 + uint64(offSize))
		}
	} else {
		abbrevOff = r.Uint(offSize)
		u.format.addrSize = int(r.U8())
	}
	u.root = r.Offset()
	switch {
	case r.Failed():
		return u, errors.New("header is cut off")
	case u.format.version < 2 || u.format.version > 5:
		return u, fmt.Errorf("DWARF version %d, known are 2 to 5", u.format.version)
	case u.format.addrSize != 8 && u.format.addrSize != 4:
		return u, fmt.Errorf("addresses of %d bytes", u.format.addrSize)
	}
	key := abbrevKey{abbrevOff, u.format}
	if u.abbrevs = d.abbrevs[key]; u.abbrevs == nil {
		t, err := parseAbbrevs(d.sec.Abbrev, abbrevOff, u.format)
		if err != nil {
			return u, err
		}
		d.abbrevs[key] = t
		u.abbrevs = t
	}
	return u, u.readRoot(&r)
}

// readRoot reads the root entry. Bases come first, for other attributes of the
// same entry need them.
func (u *Unit) readRoot(r *dwbuf.Reader) error {
	a := u.abbrevs.find(r.Uleb())
	if a == nil {
		return errors.New("root entry has no abbreviation")
	}
	u.Tag = a.tag
	if u.format.version >= 5 {
		// Without a base attribute, as in a .dwo, the first table is meant.
		u.strOffBase = 2 * uint64(u.format.offSize)
		u.addrBase = 8
	}
	first := *r
	for _, s := range a.attrs {
		v := s.form.read(r, u.format, s.implicit)
		switch s.attr {
		case dwarf.AttrStrOffsetsBase:
			u.strOffBase = v.num
		case dwarf.AttrAddrBase, atGNUAddrBase:
			u.addrBase = v.num
		case dwarf.AttrRnglistsBase:
			u.rnglBase, u.hasRnglBase = v.num, true
		}
	}
	if r.Failed() {
		return errors.New("root entry is cut off")
	}
	*r = first
	var p pcs
	for _, s := range a.attrs {
		v := s.form.read(r, u.format, s.implicit)
		switch s.attr {
		case dwarf.AttrName:
			u.Name = string(u.str(v))
		case dwarf.AttrCompDir:
			u.CompDir = string(u.str(v))
		case dwarf.AttrProducer:
			u.Producer = string(u.str(v))
		case dwarf.AttrLanguage:
			u.Language = v.num
		case dwarf.AttrStmtList:
			u.Lines, u.HasLines = v.num, true
		case dwarf.AttrDwoName, atGNUDwoName:
			u.Split = string(u.str(v))
		default:
			p.take(u, s.attr, v)
		}
	}
	if p.hasLow {
		u.low = p.low
	}
	u.Ranges = u.ranges(p, nil, 1<<16+int(u.End-u.Offset))
	return nil
}

// HasCode reports whether the unit can hold functions of its own.
func (u *Unit) HasCode() bool { return u.Tag == dwarf.TagCompileUnit || u.Tag == tagSkeleton }

// str returns the string a value names, nil if it names none.
func (u *Unit) str(v value) []byte {
	switch v.form {
	case formString:
		return v.raw
	case formStrp:
		return cstring(u.d.sec.Str, v.num)
	case formLineStrp:
		return cstring(u.d.sec.LineStr, v.num)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		off, ok := tableEntry(u.d.sec.StrOffsets, u.strOffBase, v.num, u.format.offSize)
		if ok {
			return cstring(u.d.sec.Str, off)
		}
	}
	return nil
}

// addr returns the address a value is.
func (u *Unit) addr(v value) (uint64, bool) {
	switch v.form {
	case formAddr:
		return v.num, true
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4, formGNUAddrIndex:
		return u.addrx(v.num)
	}
	return 0, false
}

func (u *Unit) addrx(i uint64) (uint64, bool) {
	return tableEntry(u.d.sec.Addr, u.addrBase, i, u.format.addrSize)
}

// ref returns the offset in .debug_info of the entry a value refers to.
func (u *Unit) ref(v value) (uint64, bool) {
	switch v.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		return u.Offset + v.num, v.num < u.End-u.Offset
	case formRefAddr:
		return v.num, true
	}
	return 0, false
}

// tableEntry reads entry i of a table of 4- or 8-byte numbers at base.
func tableEntry(b []byte, base, i uint64, size int) (uint64, bool) {
	n := uint64(len(b))
	if base > n || i >= (n-base)/uint64(size) {
		return 0, false
	}
	b = b[base+i*uint64(size):]
	if size == 4 {
		return uint64(binary.LittleEndian.Uint32(b)), true
	}
	return binary.LittleEndian.Uint64(b), true
}

func cstring(b []byte, off uint64) []byte {
	r := dwbuf.New(b, off)
	return r.CString()
}
