package dies

import (
	"debug/dwarf"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// CallSite is a call, or a jump that ends a function with a call of another
// (DWARF 5, section 3.4).
type CallSite struct {
	// Return is the address of the instruction after the call or jump.
	Return uint64
	// Tail tells a jump.
	Tail bool
	// Origin is the entry of the called function, 0 if that is not known
	// before the call is made.
	Origin uint64
}

// Calls are the call sites of a function, those of what is inlined into it too.
type Calls struct {
	Sites []CallSite
	// AllTails: the compiler says that no jump is missing.
	AllTails bool
}

// Call sites came to DWARF as GNU extensions; these are their older names.
const (
	tagGNUCallSite dwarf.Tag = 0x4109

	atGNUCallTarget   dwarf.Attr = 0x2113
	atGNUTailCall     dwarf.Attr = 0x2115
	atGNUAllTailCalls dwarf.Attr = 0x2116
	atGNUAllCalls     dwarf.Attr = 0x2117
)

// CallsOf reads the call sites of the function whose entry is at offset die of
// the unit. What is damaged ends the list.
func (u *Unit) CallsOf(die uint64) Calls {
	var c Calls
	if !u.holds(die) {
		if u = u.d.UnitOf(die); u == nil {
			return c
		}
	}
	if u.load() != nil {
		return c
	}
	r := u.reader(die)
	a := u.abbrevs.find(r.Uleb())
	if a == nil || !a.children {
		return c
	}
	for _, f := range u.abbrevs.of(a) {
		v := u.value(&r, f)
		switch v.Attr {
		case dwarf.AttrCallAllCalls, dwarf.AttrCallAllTailCalls, atGNUAllCalls, atGNUAllTailCalls:
			c.AllTails = c.AllTails || v.U != 0
		}
	}
	nested := 0 // depth at which a function inside this one began, 0 outside
	for depth := 1; depth > 0 && r.Len() > 0; {
		code := r.Uleb()
		if code == 0 {
			if depth--; depth <= nested {
				nested = 0
			}
			continue
		}
		a := u.abbrevs.find(code)
		if a == nil {
			return c
		}
		if a.tag == dwarf.TagCallSite || a.tag == tagGNUCallSite {
			if s, ok := u.callSite(&r, a); ok && nested == 0 {
				c.Sites = append(c.Sites, s)
			}
		} else {
			u.pass(&r, a)
		}
		if r.Failed() {
			return c
		}
		if a.children {
			if a.tag == dwarf.TagSubprogram && nested == 0 {
				nested = depth
			}
			depth++
		}
	}
	return c
}

// callSite reads one entry; ok is false if it does not say where it returns to.
func (u *Unit) callSite(r *dwbuf.Reader, a *abbrev) (s CallSite, ok bool) {
	computed := false
	for _, f := range u.abbrevs.of(a) {
		v := u.value(r, f)
		switch v.Attr {
		case dwarf.AttrCallReturnPC, dwarf.AttrLowpc:
			s.Return, ok = u.addr(&v)
		case dwarf.AttrCallTailCall, atGNUTailCall:
			s.Tail = v.U != 0
		case dwarf.AttrCallTarget, atGNUCallTarget:
			computed = true
		case dwarf.AttrCallOrigin, dwarf.AttrAbstractOrigin:
			if o, is := u.d.Ref(&v); is {
				s.Origin = o
			}
		}
	}
	if computed {
		s.Origin = 0
	}
	return s, ok
}

// Callee is what a call site says of the called function: where its parts start,
// or, of one declared only, its name in the object file.
type Callee struct {
	Starts []uint64
	Symbol string
}

// CalleeAt reads the function at offset die, which may be in another unit than
// u, that of the call site.
func (d *Data) CalleeAt(u *Unit, die uint64) Callee {
	if !u.holds(die) {
		if u = d.UnitOf(die); u == nil {
			return Callee{}
		}
	}
	if u.load() != nil {
		return Callee{}
	}
	r := u.reader(die)
	a := u.abbrevs.find(r.Uleb())
	if a == nil {
		return Callee{}
	}
	var p pcs
	declared, specified := false, false
	for _, f := range u.abbrevs.of(a) {
		v := u.value(&r, f)
		switch v.Attr {
		case dwarf.AttrDeclaration:
			declared = v.U != 0
		case dwarf.AttrSpecification:
			specified = true
		default:
			p.take(u, &v)
		}
	}
	if r.Failed() {
		return Callee{}
	}
	if declared && !specified {
		n := d.NameOf(u, die)
		if n.Linkage != "" {
			return Callee{Symbol: n.Linkage}
		}
		return Callee{Symbol: n.Name}
	}
	var c Callee
	for _, r := range u.rangesOf(p, nil, &budget{1 << 10, 1 << 12}) {
		c.Starts = append(c.Starts, r.Start)
	}
	return c
}
