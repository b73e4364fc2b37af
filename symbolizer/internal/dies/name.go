package dies

import (
	"debug/dwarf"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Name is what an entry is called and where it was declared.
type Name struct {
	// Name is DW_AT_name and Linkage the linkage (mangled) name, each "" if
	// absent.
	Name, Linkage string
	// Unit is the unit whose file table DeclFile indexes.
	Unit     *Unit
	DeclFile uint32
	DeclLine uint32
}

const atMIPSLinkageName dwarf.Attr = 0x2007

// maxOrigins bounds a chain of abstract origins and specifications; real ones
// have at most three links.
const maxOrigins = 16

// NameOf returns the name of the entry at offset die of unit u, following its
// abstract origin and specification, which may be in another unit.
func (d *Data) NameOf(u *Unit, die uint64) Name {
	d.namesMu.Lock()
	n, ok := d.names[die]
	d.namesMu.Unlock()
	if ok {
		return n
	}
	next := die
	for range maxOrigins {
		if next = d.oneName(u, next, &n); next == 0 || n.Name != "" && n.Linkage != "" {
			break
		}
	}
	d.namesMu.Lock()
	d.names[die] = n
	d.namesMu.Unlock()
	return n
}

// oneName adds what the entry at off tells to n and returns the entry it refers
// to, 0 if none.
func (d *Data) oneName(u *Unit, off uint64, n *Name) (next uint64) {
	if off < u.root || off >= u.End {
		if u = d.UnitOf(off); u == nil {
			return 0
		}
	}
	r := dwbuf.New(d.sec.Info, off)
	r.Limit(u.End - off)
	a := u.abbrevs.find(r.Uleb())
	if a == nil {
		return 0
	}
	for _, s := range a.attrs {
		v := s.form.read(&r, u.format, s.implicit)
		if r.Failed() {
			return 0
		}
		switch s.attr {
		case dwarf.AttrName:
			if n.Name == "" {
				n.Name = string(u.str(v))
			}
		case dwarf.AttrLinkageName, atMIPSLinkageName:
			if n.Linkage == "" {
				n.Linkage = string(u.str(v))
			}
		case dwarf.AttrDeclFile:
			if n.DeclFile == 0 {
				n.Unit, n.DeclFile = u, uint32(v.num)
			}
		case dwarf.AttrDeclLine:
			if n.DeclLine == 0 {
				n.DeclLine = uint32(v.num)
			}
		case dwarf.AttrAbstractOrigin, dwarf.AttrSpecification:
			if o, ok := u.ref(v); ok {
				next = o
			}
		}
	}
	return next
}

// UnitOf returns the unit that holds offset off of .debug_info, nil if none.
func (d *Data) UnitOf(off uint64) *Unit {
	units, _ := d.Units()
	i, _ := slices.BinarySearchFunc(units, off, func(u *Unit, o uint64) int {
		if u.Offset <= o {
			return -1
		}
		return 1
	})
	if i == 0 || off < units[i-1].root || off >= units[i-1].End {
		return nil
	}
	return units[i-1]
}
