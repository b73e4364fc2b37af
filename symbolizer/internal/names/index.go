package names

import (
	"errors"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// ErrDamaged says that a section is no sound index.
var ErrDamaged = errors.New("malformed DWARF: .debug_names")

// Limits of what is read of an untrusted section: indexes in it, attributes of all
// abbreviations of one, and entries of one name in all indexes, though names and
// their entries repeat.
const (
	maxIndexes = 1 << 14
	maxAttrs   = 1 << 12
	maxEntries = 1 << 12
)

// Index is all indexes of a section. It may be used by several goroutines.
type Index struct {
	parts []part
	str   []byte // .debug_str
}

// part is one index. Tables are in the section, not copied.
type part struct {
	big     bool
	offSize int
	// units are the offsets of compile units, then of type units of this file.
	units   []uint64
	compile int // so many of units are compile units
	foreign uint64

	buckets, hashes, strings, entries []byte
	names                             uint64
	abbrevs                           map[uint64][]field
	pool                              []byte
}

// field is an attribute of an entry.
type field struct{ attr, form uint64 }

// Parse reads the headers and abbreviations of section, which is .debug_names;
// str is .debug_str.
func Parse(section, str []byte) (*Index, error) {
	ix := &Index{str: str}
	for off := uint64(0); off < uint64(len(section)); {
		p, next, ok := parsePart(section, off)
		if !ok || len(ix.parts) == maxIndexes {
			return nil, ErrDamaged
		}
		ix.parts = append(ix.parts, p)
		off = next
	}
	return ix, nil
}

func parsePart(section []byte, off uint64) (p part, next uint64, ok bool) {
	const version = 5
	for _, p.big = range []bool{false, true} {
		r := dwbuf.NewOrder(section, off, p.big)
		length, offSize := r.UnitLength()
		next = r.Offset() + length
		if r.Limit(length); r.Failed() || r.U16() != version {
			continue
		}
		p.offSize = offSize
		return p, next, p.read(&r)
	}
	return p, 0, false
}

// read reads what follows the version.
func (p *part) read(r *dwbuf.Reader) bool {
	r.Skip(2) // padding
	units, types := uint64(r.U32()), uint64(r.U32())
	p.foreign = uint64(r.U32())
	buckets := uint64(r.U32())
	p.names = uint64(r.U32())
	abbrevs := uint64(r.U32())
	r.Skip((uint64(r.U32()) + 3) &^ 3) // augmentation
	if r.Failed() || (units+types)*uint64(p.offSize) > uint64(r.Len()) {
		return false
	}
	for range units + types {
		p.units = append(p.units, r.Uint(p.offSize))
	}
	p.compile = int(units)
	r.Skip(8 * p.foreign)
	p.buckets = r.Bytes(4 * buckets)
	if buckets > 0 {
		p.hashes = r.Bytes(4 * p.names)
	}
	p.strings = r.Bytes(uint64(p.offSize) * p.names)
	p.entries = r.Bytes(uint64(p.offSize) * p.names)
	table := *r
	r.Skip(abbrevs)
	table.Limit(abbrevs)
	p.pool = r.Bytes(uint64(r.Len()))
	return !r.Failed() && p.readAbbrevs(&table)
}

func (p *part) readAbbrevs(r *dwbuf.Reader) bool {
	p.abbrevs = map[uint64][]field{}
	for left := maxAttrs; left > 0; left-- {
		code := r.Uleb()
		if code == 0 {
			return !r.Failed()
		}
		r.Uleb() // tag
		fields := []field{}
		for ; left > 0; left-- {
			f := field{r.Uleb(), r.Uleb()}
			if f == (field{}) {
				break
			}
			fields = append(fields, f)
		}
		if r.Failed() {
			return false
		}
		p.abbrevs[code] = fields
	}
	return false
}

// number reads item i of a table of numbers of size bytes.
func (p *part) number(table []byte, i uint64, size int) uint64 {
	r := dwbuf.NewOrder(table, i*uint64(size), p.big)
	return r.Uint(size)
}

// Listed gives the offsets of the units that the indexes say they cover, sorted.
func (ix *Index) Listed() []uint64 {
	var out []uint64
	for i := range ix.parts {
		out = append(out, ix.parts[i].units...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Units gives the offsets of the units with entries of a name, sorted; ok is false
// where the indexes cannot tell or are damaged.
func (ix *Index) Units(name string) (units []uint64, ok bool) {
	hash, ok := hashOf(name)
	if !ok {
		return nil, false
	}
	for i := range ix.parts {
		p := &ix.parts[i]
		if units, ok = p.find(units, ix.str, name, hash); !ok {
			return nil, false
		}
	}
	slices.Sort(units)
	return slices.Compact(units), true
}

// hashOf is the hash of section 6.1.1.4.5, of the name with its capital letters
// made small. Letters beyond ASCII would need Unicode's tables: ok is false.
func hashOf(name string) (hash uint32, ok bool) {
	hash = 5381
	for i := range len(name) {
		c := name[i]
		if c >= 0x80 {
			return 0, false
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		hash = hash*33 + uint32(c)
	}
	return hash, true
}

func (p *part) find(units []uint64, str []byte, name string, hash uint32) ([]uint64, bool) {
	first, buckets := uint64(0), uint64(len(p.buckets)/4)
	if buckets > 0 {
		// Names are numbered from 1; 0 is an empty bucket.
		if first = p.number(p.buckets, uint64(hash)%buckets, 4); first == 0 {
			return units, true
		}
		first--
	}
	ok := true
	for i := first; i < p.names && ok; i++ {
		if buckets > 0 {
			h := p.number(p.hashes, i, 4)
			if h%buckets != uint64(hash)%buckets {
				break
			}
			if h != uint64(hash) {
				continue
			}
		}
		at := p.number(p.strings, i, p.offSize)
		if at > uint64(len(str)) || uint64(len(str))-at <= uint64(len(name)) {
			continue
		}
		if s := str[at:]; string(s[:len(name)]) == name && s[len(name)] == 0 {
			units, ok = p.unitsAt(units, p.number(p.entries, i, p.offSize))
		}
	}
	return units, ok
}

// Attributes of entries (section 7.19, table 7.23) and forms of numbers.
const (
	idxCompileUnit = 1
	idxTypeUnit    = 2

	formData2, formData4, formData8, formData1, formUdata = 0x05, 0x06, 0x07, 0x0b, 0x0f
	formRef1, formRef2, formRef4, formRef8, formRefUdata  = 0x11, 0x12, 0x13, 0x14, 0x15
	formFlagPresent                                       = 0x19
)

// unitsAt adds the units of the entries from offset off of the pool.
func (p *part) unitsAt(units []uint64, off uint64) ([]uint64, bool) {
	r := dwbuf.NewOrder(p.pool, off, p.big)
	for len(units) < maxEntries {
		code := r.Uleb()
		if code == 0 {
			return units, !r.Failed()
		}
		fields, known := p.abbrevs[code]
		if !known {
			return units, false
		}
		unit, have := uint64(0), p.compile == 1
		for _, f := range fields {
			v := number(&r, f.form)
			switch f.attr {
			case idxCompileUnit:
				if v >= uint64(p.compile) {
					return units, false
				}
				unit, have = v, true
			case idxTypeUnit:
				// Beyond those of this file are those of .dwo files.
				if v >= uint64(len(p.units)-p.compile) {
					return units, false
				}
				unit, have = uint64(p.compile)+v, true
			}
		}
		if r.Failed() || !have {
			return units, false
		}
		units = append(units, p.units[unit])
	}
	return units, false
}

func number(r *dwbuf.Reader, form uint64) uint64 {
	switch form {
	case formData1, formRef1:
		return r.Uint(1)
	case formData2, formRef2:
		return r.Uint(2)
	case formData4, formRef4:
		return r.Uint(4)
	case formData8, formRef8:
		return r.Uint(8)
	case formUdata, formRefUdata:
		return r.Uleb()
	case formFlagPresent:
		return 1
	}
	r.Fail()
	return 0
}
