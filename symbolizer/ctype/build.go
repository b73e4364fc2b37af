package ctype

import (
	"debug/dwarf"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Encodings of base types (DWARF 5, section 7.8).
const (
	encBoolean      = 0x02
	encComplexFloat = 0x03
	encFloat        = 0x04
	encSignedChar   = 0x06
	encSigned       = 0x05
	encUnsignedChar = 0x08
	encUTF          = 0x10
)

// attrGNUVector marks an array that is a SIMD vector.
const attrGNUVector = dwarf.Attr(0x2107)

// tagAtomic is DW_TAG_atomic_type, which debug/dwarf does not name in old
// releases.
const tagAtomic = dwarf.Tag(0x47)

// build reads the type an entry describes, without what it refers to.
func (ts *Types) build(off uint64) *Type {
	e, err := ts.d.Entry(off)
	if err != nil {
		return ts.bad(off, err)
	}
	t := &Type{ts: ts, off: off, Name: ts.d.Name(e), Declaration: e.Flag(dwarf.AttrDeclaration)}
	if a := e.Attr(dwarf.AttrByteSize); a != nil && !a.IsBlock() {
		t.size = int64(min(a.U, maxSize))
	}
	if a := e.Attr(dwarf.AttrType); a != nil {
		ref, ok := ts.d.Ref(a)
		if !ok {
			return ts.bad(off, fmt.Errorf("type %q refers to a file that is not at hand", t.Name))
		}
		t.ref, t.hasRef = ref, true
	}
	switch e.Tag {
	case dwarf.TagBaseType:
		ts.base(t, e)
	case dwarf.TagPointerType:
		t.Kind = Pointer
		t.size = int64(e.Unit.AddrSize())
	case dwarf.TagReferenceType, dwarf.TagRvalueReferenceType:
		t.Kind = Reference
		t.size = int64(e.Unit.AddrSize())
	case dwarf.TagStructType:
		t.Kind = Struct
	case dwarf.TagClassType:
		t.Kind, t.Class = Struct, true
	case dwarf.TagUnionType:
		t.Kind = Union
	case dwarf.TagEnumerationType:
		t.Kind = Enum
		t.Signed = ts.enumSigned(t)
	case dwarf.TagTypedef:
		t.Kind = Typedef
	case dwarf.TagConstType:
		t.Kind = Const
	case dwarf.TagVolatileType:
		t.Kind = Volatile
	case dwarf.TagRestrictType:
		t.Kind = Restrict
	case tagAtomic:
		t.Kind = Atomic
	case dwarf.TagUnspecifiedType:
		t.Kind = Unspecified
	case dwarf.TagSubroutineType, dwarf.TagSubprogram:
		t.Kind, t.size = Func, 1
		t.Prototyped = e.Flag(dwarf.AttrPrototyped)
		t.Variadic = ts.hasChild(e, dwarf.TagUnspecifiedParameters)
	case dwarf.TagArrayType:
		ts.array(t, e)
	case dwarf.TagSubrangeType:
		// A type of its own in other languages; here its base counts.
		t.Kind = Typedef
	default:
		return ts.bad(off, fmt.Errorf("entry %#x is a %v, which is no C type", off, e.Tag))
	}
	return t
}

func (ts *Types) base(t *Type, e *dies.Entry) {
	enc := uint64(0)
	if a := e.Attr(dwarf.AttrEncoding); a != nil {
		enc = a.U
	}
	switch enc {
	case encBoolean:
		t.Kind = Bool
	case encFloat:
		t.Kind, t.Signed = Float, true
	case encComplexFloat:
		t.Kind, t.Signed = Complex, true
	case encSignedChar:
		t.Kind, t.Signed = Char, true
	case encUnsignedChar, encUTF:
		t.Kind = Char
	case encSigned:
		t.Kind, t.Signed = Int, true
	default:
		t.Kind = Int
	}
	if short, ok := shortNames[t.Name]; ok {
		t.Name = short
	}
}

// shortNames gives the names of C's basic types as gdb writes them, for those
// that gcc writes in full.
var shortNames = map[string]string{
	"short int":              "short",
	"short unsigned int":     "unsigned short",
	"long int":               "long",
	"long unsigned int":      "unsigned long",
	"long long int":          "long long",
	"long long unsigned int": "unsigned long long",
	"unsigned __int128":      "unsigned int __int128",
}

// enumSigned tells whether an enum holds negative numbers: by its underlying
// type, or else by its constants.
func (ts *Types) enumSigned(t *Type) bool {
	if t.hasRef {
		return ts.signed(t.ref)
	}
	// Its own, not those of the definition a declaration stands for: looking for
	// that builds types, this one among them.
	t.load()
	for _, v := range t.body.values {
		if v.Value < 0 {
			return true
		}
	}
	return false
}

// signed tells whether the base type an entry leads to is signed. It builds no
// type on the way there: in a damaged file that may be the enum it is asked for.
func (ts *Types) signed(off uint64) bool {
	for range maxDepth {
		e, err := ts.d.Entry(off)
		if err != nil {
			return false
		}
		switch e.Tag {
		case dwarf.TagBaseType:
			return ts.at(off).Signed
		case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, tagAtomic:
		default:
			return false
		}
		a := e.Attr(dwarf.AttrType)
		if a == nil {
			return false
		}
		var ok bool
		if off, ok = ts.d.Ref(a); !ok {
			return false
		}
	}
	return false
}

func (ts *Types) hasChild(e *dies.Entry, tag dwarf.Tag) bool {
	it := ts.d.Children(e)
	for n := 0; n < maxMembers && it.Next(); n++ {
		if it.Entry().Tag == tag {
			return true
		}
	}
	return false
}

// array reads DW_TAG_array_type: each subrange is a dimension, the first the
// outermost.
func (ts *Types) array(t *Type, e *dies.Entry) {
	t.Kind = Array
	t.Vector = e.Flag(attrGNUVector)
	var dims []int64
	it := ts.d.Children(e)
	for len(dims) < maxDepth && it.Next() {
		if c := it.Entry(); c.Tag == dwarf.TagSubrangeType || c.Tag == dwarf.TagEnumerationType {
			dims = append(dims, elements(c))
		}
	}
	if len(dims) == 0 {
		dims = []int64{NoCount}
	}
	t.count = dims[0]
	// Inner dimensions have no entry of their own.
	inner := t
	for _, n := range dims[1:] {
		next := &Type{Kind: Array, ts: ts, count: n, ref: inner.ref, hasRef: inner.hasRef}
		inner.elem = next
		inner = next
	}
	if len(dims) > 1 {
		t.size = 0
	}
}

// elements returns how many elements a subrange counts. A length only known at
// run time (a variable-length array) is NoCount.
func elements(e *dies.Entry) int64 {
	if a := e.Attr(dwarf.AttrCount); a != nil {
		if a.IsConstant() && int64(a.U) >= 0 {
			return int64(min(a.U, maxSize))
		}
		return NoCount
	}
	a := e.Attr(dwarf.AttrUpperBound)
	if a == nil || !a.IsConstant() {
		return NoCount
	}
	lower := int64(0)
	if l := e.Attr(dwarf.AttrLowerBound); l != nil && l.IsConstant() {
		lower = int64(l.U)
	}
	n := int64(a.U) - lower + 1
	// gcc describes x[0] with an upper bound of -1 in the width of size_t.
	if n < 0 || n > maxSize {
		return 0
	}
	return n
}
