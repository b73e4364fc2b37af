package dies

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Unit is one unit: a source file's, a type's, or a part that several share.
type Unit struct {
	// Offset is where its header starts, First its own entry, and End the first
	// offset past it.
	Offset, First, End uint64
	Type               UnitType
	// Signature names the type of a type unit, and ties a skeleton to its split
	// unit; 0 for others. TypeOff is the entry of the type in a type unit.
	Signature, TypeOff uint64

	d         *Data
	src       *source
	format    format
	abbrevOff uint64

	once    sync.Once
	err     error // why the unit cannot be read
	abbrevs *abbrevTable
	root    Entry
	base    bases
	info    Info

	split      split
	rangesOnce sync.Once
	ranges     []Range
	funcsOnce  sync.Once
	funcs      FuncTable
	found      found

	namesMu sync.Mutex
	names   map[uint64]Name // of entries of functions
}

// UnitType is the kind of a unit (DWARF 5, section 7.5.1). Units of older
// versions are Compile or TypeUnit.
type UnitType uint8

const (
	Compile UnitType = iota + 1
	TypeUnit
	Partial
	Skeleton
	SplitCompile
	SplitType
)

var errNoUnit = errors.New("no unit there")

// Units lists all units by offset, reading headers only. Damage ends the list
// with an error; what came before is given. Units of unknown versions are left
// out, with an error too.
func (d *Data) Units() ([]*Unit, error) {
	d.listOnce.Do(func() {
		d.types = map[uint64]*Unit{}
		for _, src := range d.whole {
			for off := src.base; off < src.base+uint64(len(src.info)); {
				u, err := d.UnitAt(off)
				if err != nil && d.listErr == nil {
					d.listErr = err
				}
				if u == nil {
					break
				}
				if err == nil {
					d.list = append(d.list, u)
					if u.TypeOff != 0 {
						d.types[u.Signature] = u
					}
				}
				off = u.End
			}
		}
	})
	return d.list, d.listErr
}

// HasUnits reports whether there is any unit that can be read.
func (d *Data) HasUnits() bool {
	units, _ := d.Units()
	return len(units) > 0
}

// UnitAt returns the unit whose header is at off. With an error the unit is nil,
// or holds only where the next one is.
func (d *Data) UnitAt(off uint64) (*Unit, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unitAt(off)
}

// unitAt is UnitAt with d.mu held.
func (d *Data) unitAt(off uint64) (*Unit, error) {
	if u := d.units[off]; u != nil {
		return u, nil
	}
	u, err := d.header(off)
	if err != nil {
		return u, fmt.Errorf("unit at %#x of .debug_info: %w", off, err)
	}
	d.units[off] = u
	return u, nil
}

// UnitOf returns the unit that holds offset off, nil if none.
func (d *Data) UnitOf(off uint64) *Unit {
	units := d.splitUnits(off)
	if units == nil {
		units, _ = d.Units()
	}
	i := sort.Search(len(units), func(i int) bool { return units[i].End > off })
	if i == len(units) || off < units[i].First {
		return nil
	}
	return units[i]
}

// header reads a unit header (DWARF 5, section 7.5.1; DWARF 4, section 7.5.1.2
// for type units).
func (d *Data) header(off uint64) (*Unit, error) {
	src := d.sourceOf(off)
	if src == nil {
		return nil, errNoUnit
	}
	r := src.sec.numbers(src.info, off-src.base)
	length, offSize := r.UnitLength()
	if r.Failed() || length == 0 || length > uint64(r.Len()) {
		return nil, errNoUnit
	}
	u := &Unit{Offset: off, End: src.base + r.Offset() + length, Type: Compile, d: d, src: src}
	r.Limit(length)
	u.format = format{version: int(r.U16()), offSize: offSize}
	if u.format.version >= 5 {
		u.Type = UnitType(r.U8())
		u.format.addrSize = int(r.U8())
		u.abbrevOff = r.Uint(offSize)
	} else {
		u.abbrevOff = r.Uint(offSize)
		u.format.addrSize = int(r.U8())
		if src.types {
			u.Type = TypeUnit
		}
	}
	switch u.Type {
	case Skeleton, SplitCompile:
		u.Signature = r.U64()
	case TypeUnit, SplitType:
		u.Signature = r.U64()
		u.TypeOff = off + r.Uint(offSize)
	}
	u.First = src.base + r.Offset()
	switch {
	case r.Failed():
		return u, errors.New("header is cut off")
	case u.format.version < 2 || u.format.version > 5:
		return u, fmt.Errorf("DWARF version %d, known are 2 to 5", u.format.version)
	case u.format.addrSize != 8 && u.format.addrSize != 4:
		return u, fmt.Errorf("addresses of %d bytes", u.format.addrSize)
	}
	return u, nil
}

// Version is the DWARF version, 2 to 5.
func (u *Unit) Version() int { return u.format.version }

// AddrSize is the size of an address in bytes, 4 or 8.
func (u *Unit) AddrSize() int { return u.format.addrSize }

// OffsetSize is the size of section offsets in bytes, 4 or 8.
func (u *Unit) OffsetSize() int { return u.format.offSize }

// reader reads the unit's entries from offset off, which must lie in the unit;
// it ends where the unit does. Offsets it gives are those of the section.
func (u *Unit) reader(off uint64) dwbuf.Reader {
	r := u.src.sec.numbers(u.src.info, off-u.src.base)
	r.Limit(u.End - off)
	return r
}

// holds reports whether an entry of the unit may be at off.
func (u *Unit) holds(off uint64) bool { return off >= u.First && off < u.End }

// HasCode reports whether the unit can hold functions of its own.
func (u *Unit) HasCode() bool {
	tag := u.Info().Tag
	return tag == dwarf.TagCompileUnit || tag == tagSkeleton
}
