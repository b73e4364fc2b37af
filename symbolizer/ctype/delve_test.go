package ctype_test

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/reader"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// Every named struct and union of the guests has the members, offsets and sizes
// delve's reader finds.
func TestLayoutsAgainstDelve(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64", "ukguest-x86_64-cfi"} {
		t.Run(name, func(t *testing.T) {
			image, err := images.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			_, debug, err := image.Extract(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			im, err := symbolizer.Open(debug)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			ours := newTypes(t, im)
			theirs := delveLayouts(t, debug)
			if len(theirs) < 40 {
				t.Fatalf("delve finds %d structs only", len(theirs))
			}
			for name, layouts := range theirs {
				typ, err := ours.Lookup(name)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if got := layoutOf(typ); !layouts[got] {
					t.Errorf("%s is\n%s\ndelve has\n%v", name, got, layouts)
				}
			}
		})
	}
}

// layoutOf has what both know: delve drops where a bit-field of DWARF 4 and
// later begins, and the size of an array.
func layoutOf(typ *ctype.Type) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", typ.Size())
	for _, f := range typ.Fields() {
		member(&b, f.Name, f.Offset, f.BitSize, f.Type.Size(), f.Type.Strip().Kind == ctype.Array)
	}
	return b.String()
}

func member(b *strings.Builder, name string, offset, bits, size int64, array bool) {
	switch {
	case bits != 0:
		fmt.Fprintf(b, " %s:%d", name, bits)
	case array:
		fmt.Fprintf(b, " %s@%d[]", name, offset)
	default:
		fmt.Fprintf(b, " %s@%d+%d", name, offset, size)
	}
}

// delveLayouts reads the structs of a file: units may define a name differently.
func delveLayouts(t *testing.T, path string) map[string]map[string]bool {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	types := map[dwarf.Offset]godwarf.Type{}
	r := reader.New(data)
	for {
		entry, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if entry == nil {
			return out
		}
		if entry.Tag != dwarf.TagCompileUnit && entry.Tag != dwarf.TagStructType && entry.Tag != dwarf.TagUnionType {
			r.SkipChildren()
			continue
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if entry.Tag == dwarf.TagCompileUnit {
			continue
		}
		r.SkipChildren()
		if decl, _ := entry.Val(dwarf.AttrDeclaration).(bool); decl || name == "" {
			continue
		}
		typ, err := godwarf.ReadType(data, 0, entry.Offset, types)
		if err != nil {
			t.Fatal(err)
		}
		s := typ.(*godwarf.StructType)
		var b strings.Builder
		fmt.Fprintf(&b, "%d:", s.ByteSize)
		for _, field := range s.Field {
			resolved := field.Type
			for q, ok := resolved.(*godwarf.QualType); ok; q, ok = resolved.(*godwarf.QualType) {
				resolved = q.Type
			}
			_, array := godwarf.ResolveTypedef(resolved).(*godwarf.ArrayType)
			member(&b, field.Name, field.ByteOffset, field.BitSize, field.Type.Size(), array)
		}
		key := s.Kind + " " + name
		if out[key] == nil {
			out[key] = map[string]bool{}
		}
		out[key][b.String()] = true
	}
}
