package dies

import (
	"debug/dwarf"
	"errors"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

var errAbbrev = errors.New("abbreviation table is damaged")

// attrSpec is one attribute of an abbreviation.
type attrSpec struct {
	attr     dwarf.Attr
	form     form
	implicit int64 // value of DW_FORM_implicit_const
}

// abbrev is one abbreviation (DWARF 5, section 7.5.3).
type abbrev struct {
	tag      dwarf.Tag
	children bool
	attrs    []attrSpec
	skip     []skipStep
}

// skipStep passes over attributes nobody asked for: fixed bytes, then one value
// of a form whose size is in the data (0 for none).
type skipStep struct {
	fixed uint64
	form  form
}

// abbrevTable finds abbreviations by code; codes count from 1 in practice.
type abbrevTable struct {
	dense  []abbrev
	sparse map[uint64]*abbrev
}

func (t *abbrevTable) find(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	return t.sparse[code]
}

// format is what the size of a value depends on besides its form.
type format struct {
	version, offSize, addrSize int
}

func parseAbbrevs(data []byte, off uint64, f format) (*abbrevTable, error) {
	r := dwbuf.New(data, off)
	t := &abbrevTable{}
	for {
		code := r.Uleb()
		if code == 0 {
			break
		}
		a := abbrev{tag: dwarf.Tag(r.Uleb()), children: r.U8() != 0}
		for {
			at, fo := r.Uleb(), r.Uleb()
			spec := attrSpec{attr: dwarf.Attr(at), form: form(fo)}
			if spec.form == formImplicitConst {
				spec.implicit = r.Sleb()
			}
			if at == 0 && fo == 0 || r.Failed() {
				break
			}
			if at > 0xffff || fo > 0xffff {
				return nil, errAbbrev
			}
			a.attrs = append(a.attrs, spec)
		}
		if r.Failed() {
			return nil, errAbbrev
		}
		a.skip = plan(a.attrs, f)
		if code == uint64(len(t.dense))+1 {
			t.dense = append(t.dense, a)
			continue
		}
		if t.sparse == nil {
			t.sparse = map[uint64]*abbrev{}
		}
		t.sparse[code] = &a
	}
	if r.Failed() {
		return nil, errAbbrev
	}
	return t, nil
}

func plan(attrs []attrSpec, f format) []skipStep {
	var steps []skipStep
	var fixed uint64
	for _, a := range attrs {
		if n, ok := a.form.fixedSize(f); ok {
			fixed += n
			continue
		}
		steps = append(steps, skipStep{fixed, a.form})
		fixed = 0
	}
	if fixed > 0 {
		steps = append(steps, skipStep{fixed, 0})
	}
	return steps
}

// pass moves r behind the attributes of an entry.
func (a *abbrev) pass(r *dwbuf.Reader, f format) {
	for _, s := range a.skip {
		r.Skip(s.fixed)
		if s.form != 0 {
			s.form.read(r, f, 0)
		}
	}
}
