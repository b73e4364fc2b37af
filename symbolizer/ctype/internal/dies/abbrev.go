package dies

import "debug/dwarf"

// field is one attribute specification of an abbreviation.
type field struct {
	attr     dwarf.Attr
	form     form
	implicit int64
}

// abbrev is one abbreviation declaration (DWARF 5, section 7.5.3).
type abbrev struct {
	tag      dwarf.Tag
	children bool
	fields   []field
}

// abbrevs is one abbreviation table. Codes are dense in practice: dense[code-1]
// holds those, sparse the rest.
type abbrevs struct {
	dense  []abbrev
	sparse map[uint64]*abbrev
}

func (a *abbrevs) get(code uint64) *abbrev {
	if code-1 < uint64(len(a.dense)) {
		return &a.dense[code-1]
	}
	return a.sparse[code]
}

func parseAbbrevs(section []byte, off uint64) (*abbrevs, error) {
	c := cursor{b: section, off: off}
	t := &abbrevs{}
	// One array for the fields of the whole table keeps the allocations few.
	pool := make([]field, 0, 256)
	t.dense = make([]abbrev, 0, 64)
	for {
		code := c.uleb()
		if c.bad {
			return nil, &FormatError{Section: ".debug_abbrev", Off: off, What: "table runs past the end of the section"}
		}
		if code == 0 {
			return t, nil
		}
		a := abbrev{tag: dwarf.Tag(c.uleb()), children: c.uint(1) != 0}
		start := len(pool)
		for {
			f := field{attr: dwarf.Attr(c.uleb()), form: form(c.uleb())}
			if f.form == formImplicitConst {
				f.implicit = c.sleb()
			}
			if c.bad {
				return nil, &FormatError{Section: ".debug_abbrev", Off: off, What: "declaration is cut off"}
			}
			if f.attr == 0 && f.form == 0 {
				break
			}
			pool = append(pool, f)
		}
		a.fields = pool[start:len(pool):len(pool)]
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
