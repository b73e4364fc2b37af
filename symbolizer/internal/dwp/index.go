package dwp

import (
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Kind is a section of a package file.
type Kind uint8

// The sections, whatever number they have in an index.
const (
	Info Kind = iota
	Types
	Abbrev
	Line
	Loc
	Loclists
	StrOffsets
	Rnglists
	kinds
)

// columns maps the numbers of sections in an index to kinds (DWARF 5, table 7.1,
// and those of version 2); others, of macros, are not of interest.
var columns = map[uint32]map[uint32]Kind{
	2: {1: Info, 2: Types, 3: Abbrev, 4: Line, 5: Loc, 6: StrOffsets},
	5: {1: Info, 3: Abbrev, 4: Line, 5: Loclists, 6: StrOffsets, 8: Rnglists},
}

// ErrDamaged says that an index makes no sense.
var ErrDamaged = errors.New("the index of the package file is damaged")

// Index is .debug_cu_index or .debug_tu_index.
type Index struct {
	slots   []byte // hash, u64 each
	rows    []byte // row number, u32 each, 0 for a free slot
	offsets []byte // a table of rows of u32
	sizes   []byte // likewise
	columns []uint32
	version uint32
	big     bool
}

// Parse reads the header of an index. The tables stay where they are.
func Parse(section []byte, bigEndian bool) (*Index, error) {
	r := dwbuf.NewOrder(section, 0, bigEndian)
	x := &Index{big: bigEndian}
	// Version 5 has two bytes and padding where version 2 has four.
	if x.version = uint32(r.U16()); x.version != 5 {
		r.Seek(0)
		x.version = r.U32()
	} else {
		r.Skip(2)
	}
	known, ok := columns[x.version]
	if r.Failed() || !ok {
		return nil, fmt.Errorf("%w: version %d, known are 2 and 5", ErrDamaged, x.version)
	}
	width, units, slots := uint64(r.U32()), uint64(r.U32()), uint64(r.U32())
	if r.Failed() || slots&(slots-1) != 0 || width > 64 || units > slots {
		return nil, ErrDamaged
	}
	x.slots, x.rows = r.Bytes(8*slots), r.Bytes(4*slots)
	head := r
	x.columns = make([]uint32, width)
	for i := range x.columns {
		x.columns[i] = uint32(kinds)
		if k, ok := known[head.U32()]; ok {
			x.columns[i] = uint32(k)
		}
	}
	r.Skip(4 * width)
	x.offsets, x.sizes = r.Bytes(4*width*units), r.Bytes(4*width*units)
	if r.Failed() {
		return nil, ErrDamaged
	}
	return x, nil
}

// Part tells where in the sections the parts of one unit are.
type Part struct {
	offset, size [kinds]uint32
	has          [kinds]bool
}

// Find looks a unit's number up in the hash table: the number itself is the hash,
// and its upper half the step to the next slot.
func (x *Index) Find(id uint64) (p Part, ok bool) {
	n := uint64(len(x.rows) / 4)
	if n == 0 {
		return p, false
	}
	step := (id>>32)&(n-1) | 1
	at := id & (n - 1)
	for range n {
		row := x.u32(x.rows, at)
		if row == 0 {
			return p, false
		}
		if r := dwbuf.NewOrder(x.slots, 8*at, x.big); r.U64() == id {
			return x.row(uint64(row) - 1)
		}
		at = (at + step) & (n - 1)
	}
	return p, false
}

// IDs lists the numbers that are in the index.
func (x *Index) IDs() []uint64 {
	var out []uint64
	for i := range uint64(len(x.rows) / 4) {
		if x.u32(x.rows, i) != 0 {
			r := dwbuf.NewOrder(x.slots, 8*i, x.big)
			out = append(out, r.U64())
		}
	}
	return out
}

func (x *Index) row(i uint64) (p Part, ok bool) {
	width := uint64(len(x.columns))
	if width == 0 || i >= uint64(len(x.offsets))/(4*width) {
		return p, false
	}
	for c, kind := range x.columns {
		if Kind(kind) < kinds {
			p.offset[kind] = x.u32(x.offsets, i*width+uint64(c))
			p.size[kind] = x.u32(x.sizes, i*width+uint64(c))
			p.has[kind] = true
		}
	}
	return p, true
}

func (x *Index) u32(b []byte, i uint64) uint32 {
	r := dwbuf.NewOrder(b, 4*i, x.big)
	return r.U32()
}

// Of cuts the unit's part out of the section of a kind: nil if it has none.
func (p *Part) Of(kind Kind, section []byte) ([]byte, error) {
	if !p.has[kind] || p.size[kind] == 0 {
		return nil, nil
	}
	from, n := uint64(p.offset[kind]), uint64(p.size[kind])
	if from > uint64(len(section)) || n > uint64(len(section))-from {
		return nil, ErrDamaged
	}
	return section[from : from+n : from+n], nil
}
