package dies

import (
	"debug/dwarf"
	"slices"
	"sync"
)

// field is one attribute specification of an abbreviation. An image has some
// hundred thousand, so it is kept small.
type field struct {
	attr, form uint16
	implicit   int32 // index of the value of DW_FORM_implicit_const
}

// abbrev is one abbreviation declaration (DWARF 5, section 7.5.3).
type abbrev struct {
	tag      dwarf.Tag
	children bool
	// from and to bound its fields in those of the table.
	from, to int32
}

// abbrevs is one abbreviation table. Codes are dense in practice: dense[code-1]
// holds those, sparse the rest.
type abbrevs struct {
	dense     []abbrev
	sparse    map[uint64]*abbrev
	fields    []field
	implicits []int64
}

func (a *abbrevs) of(ab *abbrev) []field { return a.fields[ab.from:ab.to] }

func (a *abbrevs) get(code uint64) *abbrev {
	if code-1 < uint64(len(a.dense)) {
		return &a.dense[code-1]
	}
	return a.sparse[code]
}

// fieldPool holds []field to grow tables in.
var fieldPool = sync.Pool{New: func() any { return new([]field) }}

func parseAbbrevs(section []byte, off uint64) (*abbrevs, error) {
	c := cursor{b: section, off: off}
	t := &abbrevs{}
	// One array for the fields of the whole table keeps the allocations few; it
	// grows in one that is used again.
	scratch := fieldPool.Get().(*[]field)
	defer fieldPool.Put(scratch)
	pool := (*scratch)[:0]
	defer func() { *scratch = pool }()
	t.dense = make([]abbrev, 0, 64)
	for {
		code := c.uleb()
		if c.bad {
			return nil, &FormatError{Section: ".debug_abbrev", Off: off, What: "table runs past the end of the section"}
		}
		if code == 0 {
			t.fields = slices.Clone(pool)
			return t, nil
		}
		a := abbrev{tag: dwarf.Tag(c.uleb()), children: c.uint(1) != 0}
		start := len(pool)
		for {
			at, fo := c.uleb(), c.uleb()
			f := field{attr: uint16(at), form: uint16(fo)}
			if form(fo) == formImplicitConst {
				f.implicit = int32(len(t.implicits))
				t.implicits = append(t.implicits, c.sleb())
			}
			if c.bad || at > 0xffff || fo > 0xffff {
				return nil, &FormatError{Section: ".debug_abbrev", Off: off, What: "declaration is cut off or damaged"}
			}
			if at == 0 && fo == 0 {
				break
			}
			pool = append(pool, f)
		}
		a.from, a.to = int32(start), int32(len(pool))
		if code == uint64(len(t.dense))+1 {
			t.dense = append(t.dense, a)
			continue
		}
		if t.sparse == nil {
			t.sparse = make(map[uint64]*abbrev)
		}
		t.sparse[code] = &a
	}
}
