package dies

import (
	"debug/dwarf"
	"slices"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// field is one attribute of an abbreviation. An image has some hundred thousand,
// so it is kept small.
type field struct {
	attr, form uint16
	// arg is the size of the value in bytes, variable if the data tells it;
	// for DW_FORM_implicit_const the index of the value.
	arg int32
}

const variable = -1

// step passes over values nobody asked for: fixed bytes, then one value of a form
// whose size is in the data (0 for none).
type step struct{ fixed, form uint16 }

// abbrev is one abbreviation declaration (DWARF 5, section 7.5.3).
type abbrev struct {
	tag      dwarf.Tag
	children bool
	sibling  bool // has DW_AT_sibling
	// from and to bound its fields, and first and last its steps, in those of
	// the table.
	from, to, first, last int32
}

// abbrevTable is one abbreviation table for units of one format. Codes are dense
// in practice: dense[code-1] holds those, sparse the rest.
type abbrevTable struct {
	dense     []abbrev
	sparse    map[uint64]*abbrev
	fields    []field
	steps     []step
	implicits []int64
}

func (t *abbrevTable) find(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	return t.sparse[code]
}

func (t *abbrevTable) of(a *abbrev) []field { return t.fields[a.from:a.to] }

// format is what the size of a value depends on besides its form.
type format struct {
	version, offSize, addrSize int
}

// maxFields bounds the attributes of one declaration; compilers stay below forty.
// Without it an entry of one byte could cost any number of attributes, as some
// take no bytes in the entry.
const maxFields = 256

// scratch is where tables grow, so that each is allocated once.
type scratch struct {
	dense  []abbrev
	fields []field
	steps  []step
}

var scratchPool = sync.Pool{New: func() any { return &scratch{} }}

func parseAbbrevs(section []byte, off uint64, f format) (*abbrevTable, error) {
	r := dwbuf.New(section, off)
	t := &abbrevTable{}
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	s.dense, s.fields, s.steps = s.dense[:0], s.fields[:0], s.steps[:0]
	for {
		code := r.Uleb()
		if code == 0 {
			break
		}
		a := abbrev{tag: dwarf.Tag(r.Uleb()), children: r.U8() != 0, from: int32(len(s.fields)), first: int32(len(s.steps))}
		fixed := 0
		for {
			at, fo := r.Uleb(), r.Uleb()
			if at > 0xffff || fo > 0xffff {
				r.Fail()
			}
			fl := field{attr: uint16(at), form: uint16(fo), arg: variable}
			if form(fo) == formImplicitConst {
				fl.arg = int32(len(t.implicits))
				t.implicits = append(t.implicits, r.Sleb())
			}
			if r.Failed() {
				return nil, &FormatError{".debug_abbrev", off, "declaration is cut off or damaged"}
			}
			if at == 0 && fo == 0 {
				break
			}
			n, ok := form(fo).fixedSize(f)
			if ok && form(fo) != formImplicitConst {
				fl.arg = int32(n)
			}
			if ok && fixed+n <= 0xffff {
				fixed += n
			} else {
				s.steps = append(s.steps, step{uint16(fixed), fl.form})
				fixed = 0
			}
			if len(s.fields)-int(a.from) == maxFields {
				return nil, &FormatError{".debug_abbrev", off, "declaration of too many attributes"}
			}
			a.sibling = a.sibling || dwarf.Attr(at) == dwarf.AttrSibling
			s.fields = append(s.fields, fl)
		}
		if fixed > 0 {
			s.steps = append(s.steps, step{uint16(fixed), 0})
		}
		a.to, a.last = int32(len(s.fields)), int32(len(s.steps))
		if code == uint64(len(s.dense))+1 {
			s.dense = append(s.dense, a)
			continue
		}
		if t.sparse == nil {
			t.sparse = map[uint64]*abbrev{}
		}
		t.sparse[code] = &a
	}
	if r.Failed() {
		return nil, &FormatError{".debug_abbrev", off, "table runs past the end of the section"}
	}
	t.dense, t.fields, t.steps = slices.Clone(s.dense), slices.Clone(s.fields), slices.Clone(s.steps)
	return t, nil
}

// pass moves r behind the values of an entry.
func (u *Unit) pass(r *dwbuf.Reader, a *abbrev) {
	for _, s := range u.abbrevs.steps[a.first:a.last] {
		r.Skip(uint64(s.fixed))
		if s.form != 0 {
			form(s.form).skip(r, u.format)
		}
	}
}

// abbrevKey names a table: the section, the offset there and the format.
type abbrevKey struct {
	sec *Sections
	off uint64
	format
}

// table reads an abbreviation table, or returns the one read before.
func (d *Data) table(key abbrevKey) (*abbrevTable, error) {
	d.mu.Lock()
	t := d.abbrevs[key]
	d.mu.Unlock()
	if t != nil {
		return t, nil
	}
	// Not under the lock: units are read on all processors at once.
	t, err := parseAbbrevs(key.sec.Abbrev, key.off, key.format)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.abbrevs[key]; have != nil {
		return have, nil
	}
	d.abbrevs[key] = t
	return t, nil
}
