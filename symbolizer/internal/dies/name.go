package dies

import (
	"debug/dwarf"
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

// maxOrigins bounds a chain of abstract origins and specifications; real ones
// have at most three links.
const maxOrigins = 16

// NameOf returns the name of the entry at offset die of unit u, following its
// abstract origin and specification, which may be in another unit.
func (d *Data) NameOf(u *Unit, die uint64) Name {
	u.namesMu.Lock()
	n, ok := u.names[die]
	u.namesMu.Unlock()
	if ok {
		return n
	}
	next := die
	for range maxOrigins {
		if next = d.oneName(u, next, &n); next == 0 || n.Name != "" && n.Linkage != "" {
			break
		}
	}
	u.namesMu.Lock()
	if u.names == nil {
		u.names = map[uint64]Name{}
	}
	u.names[die] = n
	u.namesMu.Unlock()
	return n
}

// oneName adds what the entry at off tells to n and returns the entry it refers
// to, 0 if none.
func (d *Data) oneName(u *Unit, off uint64, n *Name) (next uint64) {
	if !u.holds(off) {
		if u = d.UnitOf(off); u == nil {
			return 0
		}
	}
	if u.load() != nil {
		return 0
	}
	r := u.reader(off)
	a := u.abbrevs.find(r.Uleb())
	if a == nil {
		return 0
	}
	for _, f := range u.abbrevs.of(a) {
		v := u.value(&r, f)
		if r.Failed() {
			return 0
		}
		switch v.Attr {
		case dwarf.AttrName:
			if n.Name == "" {
				n.Name = string(u.str(&v))
			}
		case dwarf.AttrLinkageName, atMIPSLinkageName:
			if n.Linkage == "" {
				n.Linkage = string(u.str(&v))
			}
		case dwarf.AttrDeclFile:
			if n.DeclFile == 0 {
				n.Unit, n.DeclFile = u, uint32(v.U)
			}
		case dwarf.AttrDeclLine:
			if n.DeclLine == 0 {
				n.DeclLine = uint32(v.U)
			}
		case dwarf.AttrAbstractOrigin, dwarf.AttrSpecification:
			if o, ok := d.Ref(&v); ok {
				next = o
			}
		}
	}
	return next
}
