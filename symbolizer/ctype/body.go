package ctype

import (
	"debug/dwarf"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// body is what the children of a type's entry say; it is read once, when asked
// for.
type body struct {
	once   sync.Once
	fields []Field
	values []Enumerator
	params []Param
	flags  bool
	err    error
}

// Field is a member of a struct or union.
type Field struct {
	// Name is "" for an anonymous struct or union and an unnamed bit-field.
	Name string
	Type *Type
	// Offset is in bytes from the start of the struct. For a bit-field it is
	// that of the byte its first bit is in.
	Offset int64
	// BitOffset is where a bit-field's lowest bit is, in bits from the start
	// of the struct, counted from the lowest bit of the first byte.
	BitOffset int64
	// BitSize is the width of a bit-field in bits, 0 for other members.
	BitSize int64
}

// Enumerator is a constant of an enum.
type Enumerator struct {
	Name  string
	Value int64
}

// Param is a parameter of a function type or function.
type Param struct {
	Name string
	Type *Type
}

// maxMembers bounds the members of one type.
const maxMembers = 1 << 16

// Fields lists the members of a struct or union in the order of the source.
func (t *Type) Fields() []Field {
	t = t.Strip()
	t.load()
	return t.body.fields
}

// Enumerators lists the constants of an enum in the order of the source.
func (t *Type) Enumerators() []Enumerator {
	t = t.Strip()
	t.load()
	return t.body.values
}

// Params lists the parameters of a function.
func (t *Type) Params() []Param {
	t = t.Strip()
	t.load()
	return t.body.params
}

// IsFlagEnum reports whether an enum's constants are distinct bits, so that its
// values are shown as a combination of them.
func (t *Type) IsFlagEnum() bool {
	t = t.Strip()
	t.load()
	return t.Kind == Enum && t.body.flags
}

func (t *Type) load() {
	if t.ts == nil || t.off == 0 {
		return
	}
	t.body.once.Do(func() {
		switch t.Kind {
		case Struct, Union, Enum, Func:
			t.body.err = t.readBody()
		}
	})
}

func (t *Type) readBody() error {
	d := t.ts.d
	e, err := d.Entry(t.off)
	if err != nil {
		return err
	}
	it := d.Children(e)
	for n := 0; n < maxMembers && it.Next(); n++ {
		c := it.Entry()
		switch c.Tag {
		case dwarf.TagMember:
			// A static member of a C++ class has no place in it.
			if c.Flag(dwarf.AttrExternal) || c.Flag(dwarf.AttrDeclaration) {
				continue
			}
			t.body.fields = append(t.body.fields, t.ts.member(c))
		case dwarf.TagInheritance:
			f := t.ts.member(c)
			t.body.fields = append(t.body.fields, f)
		case dwarf.TagEnumerator:
			t.body.values = append(t.body.values, enumerator(d, c))
		case dwarf.TagFormalParameter:
			t.body.params = append(t.body.params, Param{Name: d.Name(c), Type: t.ts.typeOf(c)})
		}
	}
	t.body.flags = flagEnum(t.body.values)
	return it.Err()
}

// member reads DW_TAG_member (DWARF 5, section 5.7.6; the older way to place a
// bit-field is that of DWARF 3, section 5.5.6).
func (ts *Types) member(e *dies.Entry) Field {
	f := Field{Name: ts.d.Name(e), Type: ts.typeOf(e)}
	if a := e.Attr(dwarf.AttrDataMemberLoc); a != nil {
		f.Offset = memberOffset(a)
	}
	width := e.Attr(dwarf.AttrBitSize)
	if width == nil {
		f.BitOffset = 8 * f.Offset
		return f
	}
	f.BitSize = min(int64(width.U), 64)
	if a := e.Attr(dwarf.AttrDataBitOffset); a != nil {
		f.BitOffset = 8*f.Offset + int64(a.U)
	} else if a := e.Attr(dwarf.AttrBitOffset); a != nil {
		// Counted from the top of the storage unit.
		storage := f.Type.Size()
		if b := e.Attr(dwarf.AttrByteSize); b != nil {
			storage = int64(b.U)
		}
		f.BitOffset = 8*f.Offset + 8*storage - int64(a.U) - f.BitSize
	} else {
		f.BitOffset = 8 * f.Offset
	}
	if f.BitOffset < 0 || f.BitOffset > 8*maxSize {
		f.BitOffset = 0
	}
	f.Offset = f.BitOffset / 8
	return f
}

// memberOffset reads DW_AT_data_member_location: a number or, before DWARF 4,
// the expression "plus N".
func memberOffset(a *dies.Attr) int64 {
	if !a.IsBlock() {
		if int64(a.U) < 0 || a.U > maxSize {
			return 0
		}
		return int64(a.U)
	}
	const plusUconst = 0x23
	if len(a.B) > 1 && a.B[0] == plusUconst {
		if v, n := uleb(a.B[1:]); n == len(a.B)-1 && v <= maxSize {
			return int64(v)
		}
	}
	return 0
}

// enumerator reads a constant. A negative one comes in a signed form.
func enumerator(d *dies.Data, e *dies.Entry) Enumerator {
	v := Enumerator{Name: d.Name(e)}
	if a := e.Attr(dwarf.AttrConstValue); a != nil {
		v.Value = int64(a.U)
	}
	return v
}

// flagEnum reports whether the values are single bits, or zero.
func flagEnum(vals []Enumerator) bool {
	for _, v := range vals {
		if v.Value < 0 || v.Value&(v.Value-1) != 0 {
			return false
		}
	}
	return len(vals) > 0
}

// maxNested bounds how many anonymous members are looked into: malformed
// debugging information may nest them without end.
const maxNested = 1 << 12

// FieldNames lists the members' names, those of anonymous members with theirs.
func (t *Type) FieldNames() []string {
	var names []string
	budget := maxNested
	t.fieldNames(&names, 0, &budget)
	return names
}

func (t *Type) fieldNames(names *[]string, depth int, budget *int) {
	if *budget--; depth > maxDepth || *budget < 0 {
		return
	}
	for _, f := range t.Fields() {
		if f.Name != "" {
			*names = append(*names, f.Name)
			continue
		}
		if f.BitSize == 0 {
			f.Type.fieldNames(names, depth+1, budget)
		}
	}
}

// Field finds a member by name, in anonymous members too. The offsets are those
// from the start of t.
func (t *Type) Field(name string) (Field, bool) {
	budget := maxNested
	return t.field(name, 0, &budget)
}

func (t *Type) field(name string, depth int, budget *int) (Field, bool) {
	if *budget--; depth > maxDepth || *budget < 0 {
		return Field{}, false
	}
	fields := t.Fields()
	for _, f := range fields {
		if f.Name == name && name != "" {
			return f, true
		}
	}
	for _, f := range fields {
		if f.Name != "" || f.BitSize != 0 {
			continue
		}
		if in, ok := f.Type.field(name, depth+1, budget); ok {
			in.Offset += f.Offset
			in.BitOffset += 8 * f.Offset
			return in, true
		}
	}
	return Field{}, false
}
