package dies

import (
	"errors"
	"sort"
	"sync"
)

// ErrNone says that the image holds no .debug_info.
var ErrNone = errors.New("no DWARF debugging information (.debug_info is missing)")

// Sections gives the contents of a named ELF section, decompressed, or nil.
type Sections interface {
	Section(name string) []byte
}

// Data is the debugging information of one image. It may be used by several
// goroutines at once.
type Data struct {
	info, abbrev, str, lineStr, strOffsets, addr []byte
	ranges, rnglists, loc, loclists              []byte

	units []*Unit
	types map[uint64]*Unit // type units by signature

	mu     sync.Mutex
	tables map[uint64]*abbrevs
}

// Unit is one compilation or type unit.
type Unit struct {
	// Off is where the unit's header starts, End the first byte after it.
	Off, End uint64
	// First is the offset of the unit's own entry.
	First    uint64
	Version  int
	AddrSize int
	// Type is the unit type of DWARF 5, section 7.5.1; 1 for older versions.
	Type int
	// TypeOff is the offset of the type in a type unit.
	TypeOff uint64
	// Number counts units from 0.
	Number int

	offsetSize int
	abbrevOff  uint64

	once sync.Once
	err  error
	tab  *abbrevs
	root Entry
	base bases
}

// bases are the attributes of the unit's entry that resolve indices.
type bases struct {
	strOffsets, addr, rnglists, loclists uint64
	lowPC                                uint64
}

// Unit types of DWARF 5, table 7.2.
const (
	unitCompile      = 1
	unitType         = 2
	unitPartial      = 3
	unitSkeleton     = 4
	unitSplitCompile = 5
	unitSplitType    = 6
)

// New reads the headers of all units; entries are read when asked for. Units
// after a malformed header are dropped, and if that leaves none it is the error.
func New(s Sections) (*Data, error) {
	d := &Data{
		info: s.Section(".debug_info"), abbrev: s.Section(".debug_abbrev"),
		str: s.Section(".debug_str"), lineStr: s.Section(".debug_line_str"),
		strOffsets: s.Section(".debug_str_offsets"), addr: s.Section(".debug_addr"),
		ranges: s.Section(".debug_ranges"), rnglists: s.Section(".debug_rnglists"),
		loc: s.Section(".debug_loc"), loclists: s.Section(".debug_loclists"),
		tables: make(map[uint64]*abbrevs), types: make(map[uint64]*Unit),
	}
	if len(d.info) == 0 {
		return nil, ErrNone
	}
	for off := uint64(0); off < uint64(len(d.info)); {
		u, err := d.header(off)
		if err != nil {
			if len(d.units) == 0 {
				return nil, err
			}
			break
		}
		if u.Version >= 2 && u.Version <= 5 {
			u.Number = len(d.units)
			d.units = append(d.units, u)
		}
		off = u.End
	}
	return d, nil
}

// header reads a unit header (DWARF 5, section 7.5.1).
func (d *Data) header(off uint64) (*Unit, error) {
	c := cursor{b: d.info, off: off}
	u := &Unit{Off: off, offsetSize: 4, Type: unitCompile}
	length := c.uint(4)
	if length == 0xffffffff {
		u.offsetSize = 8
		length = c.uint(8)
	}
	if c.bad || length > uint64(len(d.info))-c.off {
		return nil, infoError(off, "unit of %#x bytes runs past the end of the section", length)
	}
	u.End = c.off + length
	c.b = d.info[:u.End]
	u.Version = int(c.uint(2))
	if u.Version >= 5 {
		u.Type = int(c.uint(1))
		u.AddrSize = int(c.uint(1))
		u.abbrevOff = c.uint(u.offsetSize)
		switch u.Type {
		case unitSkeleton, unitSplitCompile:
			c.take(8)
		case unitType, unitSplitType:
			sig := c.uint(8)
			u.TypeOff = off + c.uint(u.offsetSize)
			d.types[sig] = u
		}
	} else {
		u.abbrevOff = c.uint(u.offsetSize)
		u.AddrSize = int(c.uint(1))
	}
	u.First = c.off
	if c.bad {
		return nil, infoError(off, "unit header is cut off")
	}
	if u.AddrSize != 4 && u.AddrSize != 8 {
		// Such a unit is passed over: its forms cannot be measured.
		u.Version = 0
	}
	return u, nil
}

// OffsetSize returns the size in bytes of section offsets, 4 or 8.
func (u *Unit) OffsetSize() int { return u.offsetSize }

// Units lists the units in the order of their offsets.
func (d *Data) Units() []*Unit { return d.units }

// UnitAt returns the unit an offset lies in.
func (d *Data) UnitAt(off uint64) (*Unit, error) {
	i := sort.Search(len(d.units), func(i int) bool { return d.units[i].End > off })
	if i == len(d.units) || off < d.units[i].First {
		return nil, infoError(off, "offset lies in no unit")
	}
	return d.units[i], nil
}

// Root returns the unit's own entry.
func (d *Data) Root(u *Unit) (*Entry, error) {
	u.once.Do(func() { u.err = d.load(u) })
	return &u.root, u.err
}

// load reads a unit's abbreviations and its own entry, and from that the bases.
func (d *Data) load(u *Unit) error {
	tab, err := d.table(u.abbrevOff)
	if err != nil {
		return err
	}
	u.tab = tab
	// Defaults of a unit that names no base: just after the header of the
	// first table of its section.
	u.base = bases{strOffsets: 8, addr: 8, rnglists: 12, loclists: 12}
	if u.offsetSize == 8 {
		u.base = bases{strOffsets: 16, addr: 16, rnglists: 20, loclists: 20}
	}
	var root Entry
	if err := d.read(&root, u, u.First); err != nil {
		return err
	}
	for _, a := range root.Attrs {
		switch a.Attr {
		case attrStrOffsetsBase:
			u.base.strOffsets = a.U
		case attrAddrBase, attrGNUAddrBase:
			u.base.addr = a.U
		case attrRnglistsBase:
			u.base.rnglists = a.U
		case attrLoclistsBase:
			u.base.loclists = a.U
		}
	}
	u.root = root
	if a := root.Attr(attrLowPC); a != nil {
		u.base.lowPC, _ = d.address(u, a)
	}
	return nil
}

func (d *Data) table(off uint64) (*abbrevs, error) {
	d.mu.Lock()
	t := d.tables[off]
	d.mu.Unlock()
	if t != nil {
		return t, nil
	}
	// Not under the lock: units are read on all processors at once.
	t, err := parseAbbrevs(d.abbrev, off)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.tables[off]; have != nil {
		return have, nil
	}
	d.tables[off] = t
	return t, nil
}
