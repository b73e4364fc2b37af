package tracebuf

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestParseDefinitions(t *testing.T) {
	for _, align := range []int{8, 32} {
		s := newSample(t, align)
		if len(s.defs.All) != 6 || len(s.defs.Bad) != 0 {
			t.Fatalf("align %d: %d definitions, bad %v", align, len(s.defs.All), s.defs.Bad)
		}
		d := s.defs.ByName("mix")
		if d == nil || d.Format != s.plain.format || d.Cookie != s.plain.cookie || len(d.Args) != 5 || d.Args[1] != st {
			t.Fatalf("align %d: mix is %+v", align, d)
		}
		if s.defs.Lookup(d.Cookie) != d || s.defs.Lookup(d.Cookie+1) != nil || s.defs.Lookup(d.Cookie+8) != nil || s.defs.Lookup(0) != nil {
			t.Fatalf("align %d: Lookup finds the wrong definition", align)
		}
		for _, d := range s.defs.All {
			if d.FormatProblem() != "" {
				t.Errorf("%s: %s", d.Name, d.FormatProblem())
			}
		}
	}
}

// Cookies that are no neighbours, or not aligned, still find their definition.
func TestLookupSparse(t *testing.T) {
	a := testDef{name: "a", cookie: 3}
	b := testDef{name: "b", cookie: 1 << 63}
	defs, err := ParseDefinitions(append(a.bytes(8), b.bytes(8)...))
	if err != nil {
		t.Fatal(err)
	}
	if defs.Lookup(3).Name != "a" || defs.Lookup(1<<63).Name != "b" || defs.Lookup(4) != nil {
		t.Fatal("sparse cookies are not found")
	}
}

func TestParseDefinitionsBad(t *testing.T) {
	good := func() []byte { return newSample(t, 8).section }
	d := newSample(t, 8).defs
	second := d.All[1].Offset
	for _, c := range []struct {
		name   string
		damage func(b []byte) []byte
		left   int
		reason string
	}{
		{"size 0", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[second+4:], 0); return b }, 5, "size is 0"},
		{"size huge", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[second+4:], 1<<31); return b }, 5, "take only"},
		{"magic", func(b []byte) []byte { b[second] = 'X'; return b }, 5, "no magic"},
		{"int of 3", func(b []byte) []byte { b[second+definitionHeader] = 3; return b }, 5, "integer of 3 bytes"},
		{"type", func(b []byte) []byte { b[second+definitionHeader+1] = 9; return b }, 5, "unknown type 9"},
		{"name_len 0", func(b []byte) []byte { b[second+17] = 0; return b }, 5, "name is empty"},
		{"args_nr", func(b []byte) []byte { b[second+16] = 255; return b }, 5, "its parts take"},
		{"same cookie", func(b []byte) []byte { copy(b[second+8:], b[8:16]); return b }, 5, "another definition"},
		{"truncated", func(b []byte) []byte { return b[:len(b)-9] }, 5, "bytes left"},
		{"truncated header", func(b []byte) []byte { return b[:d.All[5].Offset+7] }, 5, "cut off"},
		{"junk between", func(b []byte) []byte { return append([]byte("junk"), b...) }, 6, "no magic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defs, err := ParseDefinitions(c.damage(good()))
			if err != nil {
				t.Fatal(err)
			}
			if len(defs.All) != c.left || len(defs.Bad) != 1 || !strings.Contains(defs.Bad[0].Error(), c.reason) {
				t.Fatalf("%d definitions, bad %v; want %d and %q", len(defs.All), defs.Bad, c.left, c.reason)
			}
		})
	}
	if _, err := ParseDefinitions([]byte("not a section")); err == nil {
		t.Fatal("bytes without any entry are accepted")
	}
	if defs, err := ParseDefinitions(nil); err != nil || len(defs.All) != 0 || defs.Lookup(0) != nil {
		t.Fatalf("an empty section: %v", err)
	}
}

func TestKeyVals(t *testing.T) {
	kv, err := ParseKeyVals([]byte("\x00format_version = 1\x00\x00\x00arch = x = y\x00"))
	if err != nil || len(kv) != 2 || kv.CheckVersion() != nil {
		t.Fatalf("%v %v", kv, err)
	}
	if v, _ := kv.Get("arch"); v != "x = y" {
		t.Fatalf("arch is %q", v)
	}
	if kv, _ := ParseKeyVals([]byte("format_version = 2\x00")); kv.CheckVersion() == nil {
		t.Fatal("format_version 2 is accepted")
	}
	for _, bad := range []string{"format_version = 1", "novalue\x00"} {
		if _, err := ParseKeyVals([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
