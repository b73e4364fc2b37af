package cfi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Section is one section of call frame information.
type Section struct {
	// Data is its content and Addr its link-time address, which .eh_frame
	// pointers are relative to.
	Data []byte
	Addr uint64
	// EH tells .eh_frame from .debug_frame.
	EH bool
}

// Table finds call frame information by address. It is read-only and may be
// used by many goroutines.
type Table struct {
	sections []Section
	cies     []cie
	entries  []entry // by begin
}

// cie is a common information entry (DWARF 5, section 6.4.1).
type cie struct {
	codeAlign   uint64
	dataAlign   int64
	ra          int
	addrSize    int
	segSize     int
	encoding    byte // of the addresses in its FDEs
	signal      bool
	augmented   bool
	first, last uint32 // instructions
}

// entry is a frame description entry: the instructions for the code from begin
// up to end.
type entry struct {
	begin, end  uint64
	first, last uint32 // instructions
	cie         int32
	section     uint8
}

// FDE describes the entry that covers an address.
type FDE struct {
	// Begin and End bound the code it covers, End not included.
	Begin, End uint64
	// Signal: the frame is a trap's or signal's (augmentation S), so its pc is
	// the instruction that was interrupted and no return address.
	Signal bool
}

// ErrNone says that no entry covers an address.
var ErrNone = errors.New("no call frame information")

var errDamaged = errors.New("damaged entry")

// New reads the entries of the sections. Where two entries start at the same
// address, the one of the section named first wins. valid says whether code can
// be at an address, nil for anywhere; entries of discarded functions, which
// linkers leave at address 0, are dropped by it. The error tells of damage; the
// table holds what is sound.
func New(sections []Section, valid func(addr uint64) bool) (*Table, error) {
	t := &Table{sections: sections}
	var errs []error
	for i := range sections {
		if uint64(len(sections[i].Data)) > 1<<32-1 || i > 255 {
			errs = append(errs, fmt.Errorf("section %d of call frame information is too big", i))
			continue
		}
		if err := t.read(uint8(i), valid); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(t.entries, func(a, b entry) int {
		if c := cmp.Compare(a.begin, b.begin); c != 0 {
			return c
		}
		return cmp.Compare(a.section, b.section)
	})
	t.entries = slices.CompactFunc(t.entries, func(a, b entry) bool { return a.begin == b.begin })
	return t, errors.Join(errs...)
}

// Len is the number of entries.
func (t *Table) Len() int { return len(t.entries) }

// At returns entry i, in the order of addresses.
func (t *Table) At(i int) FDE { return t.fde(&t.entries[i]) }

func (t *Table) fde(e *entry) FDE { return FDE{e.begin, e.end, t.cies[e.cie].signal} }

// Find returns the entry that covers pc.
func (t *Table) Find(pc uint64) (FDE, bool) {
	e := t.find(pc)
	if e == nil {
		return FDE{}, false
	}
	return t.fde(e), true
}

// overlap bounds how many entries that start at or below an address are tried.
const overlap = 8

func (t *Table) find(pc uint64) *entry {
	lo, hi := 0, len(t.entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if t.entries[mid].begin <= pc {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for k := lo - 1; k >= 0 && k >= lo-overlap; k-- {
		if pc < t.entries[k].end {
			return &t.entries[k]
		}
	}
	return nil
}

// read reads one section. Damage inside an entry drops the entry, damage of a
// length ends the section.
func (t *Table) read(index uint8, valid func(uint64) bool) error {
	sec := &t.sections[index]
	name := ".debug_frame"
	if sec.EH {
		name = ".eh_frame"
	}
	cies := map[uint64]int32{}
	var dropped error
	r := dwbuf.New(sec.Data, 0)
	for r.Len() > 0 {
		start := r.Offset()
		length, offSize := r.UnitLength()
		if length == 0 && !r.Failed() {
			continue // a terminator; linkers leave more than one
		}
		body := r
		body.Limit(length)
		r.Skip(length)
		if r.Failed() {
			return fmt.Errorf("%s is cut off in the entry at %#x", name, start)
		}
		idAt := body.Offset()
		id := body.Uint(offSize)
		if sec.isCIE(id, offSize) {
			continue // read when an FDE names it
		}
		at := id
		if sec.EH {
			at = idAt - id
		}
		c, ok := cies[at]
		if !ok {
			c = t.readCIE(sec, at)
			cies[at] = c
		}
		e := entry{cie: c, section: index}
		if c < 0 || !t.readFDE(sec, &body, &e) {
			if dropped == nil {
				dropped = fmt.Errorf("%s: the entry at %#x: %w", name, start, errDamaged)
			}
			continue
		}
		if e.begin < e.end && (valid == nil || valid(e.begin)) {
			t.entries = append(t.entries, e)
		}
	}
	return dropped
}

func (s *Section) isCIE(id uint64, offSize int) bool {
	if s.EH {
		return id == 0
	}
	return offSize == 4 && id == 0xffffffff || offSize == 8 && id == ^uint64(0)
}

// readCIE reads the CIE at offset off and returns its index, -1 if it is
// damaged or of a kind we do not know.
func (t *Table) readCIE(sec *Section, off uint64) int32 {
	r := dwbuf.New(sec.Data, off)
	length, offSize := r.UnitLength()
	r.Limit(length)
	if id := r.Uint(offSize); r.Failed() || !sec.isCIE(id, offSize) {
		return -1
	}
	version := r.U8()
	aug := string(r.CString())
	c := cie{addrSize: 8, encoding: peAbsptr}
	switch version {
	case 1, 3:
	case 4:
		c.addrSize, c.segSize = int(r.U8()), int(r.U8())
	default:
		return -1
	}
	if aug == "eh" { // gcc 2: a pointer follows
		r.Skip(8)
		aug = ""
	}
	c.codeAlign, c.dataAlign = r.Uleb(), r.Sleb()
	ra := uint64(0)
	if version == 1 {
		ra = uint64(r.U8())
	} else {
		ra = r.Uleb()
	}
	c.ra = int(min(ra, maxRegNum))
	if !c.augment(&r, aug) || c.addrSize != 8 && c.addrSize != 4 || c.segSize > 8 {
		return -1
	}
	c.first = uint32(r.Offset())
	c.last = uint32(r.Offset() + uint64(r.Len()))
	if r.Failed() || len(t.cies) >= 1<<31-1 {
		return -1
	}
	t.cies = append(t.cies, c)
	return int32(len(t.cies) - 1)
}

// augment reads the augmentation data (LSB 5, section 10.6.1.1.1).
func (c *cie) augment(r *dwbuf.Reader, aug string) bool {
	if aug == "" {
		return true
	}
	if aug[0] != 'z' {
		// Without a length only flags that carry no data can be passed over.
		for _, f := range aug {
			switch f {
			case 'S':
				c.signal = true
			case 'B', 'G':
			default:
				return false
			}
		}
		return true
	}
	c.augmented = true
	n := r.Uleb()
	if n > uint64(r.Len()) {
		r.Fail()
		return false
	}
	end := r.Offset() + n
flags:
	for _, f := range aug[1:] {
		switch f {
		case 'R':
			c.encoding = r.U8()
		case 'P':
			enc := r.U8()
			if _, ok := readPointer(r, enc&^peIndirect, 0, c.addrSize); !ok {
				break flags
			}
		case 'L':
			r.U8()
		case 'S':
			c.signal = true
		case 'B', 'G': // key of the return address signature; memory tagging
		default:
			break flags // what follows cannot be told, its length can
		}
	}
	r.Seek(end)
	return !r.Failed()
}

// readFDE reads the body of an FDE after its CIE pointer.
func (t *Table) readFDE(sec *Section, r *dwbuf.Reader, e *entry) bool {
	c := &t.cies[e.cie]
	r.Skip(uint64(c.segSize))
	begin, ok1 := readPointer(r, c.encoding, sec.Addr, c.addrSize)
	size, ok2 := readPointer(r, c.encoding&peFormat, 0, c.addrSize)
	if c.augmented {
		r.Skip(r.Uleb())
	}
	if !ok1 || !ok2 || r.Failed() || begin+size < begin {
		return false
	}
	e.begin, e.end = begin, begin+size
	e.first = uint32(r.Offset())
	e.last = uint32(r.Offset() + uint64(r.Len()))
	return true
}
