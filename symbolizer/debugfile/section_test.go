package debugfile

import (
	"errors"
	"strings"
	"testing"
)

func TestParseLink(t *testing.T) {
	for _, tc := range []struct {
		in   string
		big  bool
		name string
		crc  uint32
	}{
		{"a.debug\x00\x01\x02\x03\x04", false, "a.debug", 0x04030201},
		{"ab.debug\x00\x00\x00\x00\x01\x02\x03\x04", false, "ab.debug", 0x04030201},
		{"abc.debug\x00\x00\x00\x01\x02\x03\x04", true, "abc.debug", 0x01020304},
		{"a/b\x00\x01\x02\x03\x04", false, "", 0},
		{"a\x1b[2J\x00\x00\x00\x01\x02\x03\x04", false, "", 0},
		{"..\x00\x00\x01\x02\x03\x04", false, "", 0},
		{"\x00\x00\x00\x00\x01\x02\x03\x04", false, "", 0},
		{"a.debug\x00\x01\x02\x03", false, "", 0},
		{"a.debug", false, "", 0},
		{"", false, "", 0},
		{strings.Repeat("a", 5000) + "\x00\x00\x00\x00\x00\x00\x00\x00", false, "", 0},
	} {
		name, crc, err := ParseLink([]byte(tc.in), tc.big)
		if name != tc.name || crc != tc.crc || (err != nil) != (tc.name == "") || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%.20q: %q %#x %v", tc.in, name, crc, err)
		}
	}
}

func TestParseAltLink(t *testing.T) {
	for in, want := range map[string][2]string{
		"../.dwz/x.debug\x00\x01\x02\x03\x04": {"../.dwz/x.debug", "01020304"},
		"x\x00\x01\x02\x03":                   {}, // a build id of three bytes
		"\x00\x01\x02\x03\x04":                {},
		"x":                                   {},
		"x\x00" + strings.Repeat("y", 65):     {},
	} {
		path, id, err := ParseAltLink([]byte(in))
		if path != want[0] || id != want[1] || (err != nil) != (want[0] == "") {
			t.Errorf("%q: %q %q %v", in, path, id, err)
		}
	}
}

func TestParseSup(t *testing.T) {
	for in, want := range map[string][2]string{
		"\x05\x00\x00sup\x00\x04\x0a\x0b\x0c\x0d": {"sup", "0a0b0c0d"},
		"\x05\x00\x01sup\x00\x04\x0a\x0b\x0c\x0d": {}, // is the supplementary file
		"\x04\x00\x00sup\x00\x04\x0a\x0b\x0c\x0d": {}, // another version
		"\x05\x00\x00sup\x00\xff\xff\xff\xff\x7f": {},
		"\x05\x00\x00sup":                         {},
		"\x05":                                    {},
	} {
		path, id, err := ParseSup([]byte(in), false)
		if path != want[0] || id != want[1] || (err != nil) != (want[0] == "") {
			t.Errorf("%q: %q %q %v", in, path, id, err)
		}
	}
	if id := ParseOwnSup([]byte("\x05\x00\x01\x00\x04\x0a\x0b\x0c\x0d"), false); id != "0a0b0c0d" {
		t.Errorf("own: %q", id)
	}
	if id := ParseOwnSup([]byte("\x00\x05\x01\x00\x04\x0a\x0b\x0c\x0d"), true); id != "0a0b0c0d" {
		t.Errorf("own, big-endian: %q", id)
	}
	if id := ParseOwnSup(nil, false); id != "" {
		t.Errorf("none: %q", id)
	}
}

// FuzzSections reads damaged sections.
func FuzzSections(f *testing.F) {
	for _, s := range []string{"a.debug\x00\x01\x02\x03\x04", "../.dwz/x.debug\x00\x01\x02\x03\x04\x05\x06\x07\x08", "\x05\x00\x00sup\x00\x04\x0a\x0b\x0c\x0d", "\x05\x00\x01\x00\x04\x0a\x0b\x0c\x0d"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, big bool) {
		if name, _, err := ParseLink(b, big); err == nil && (name == "" || strings.ContainsAny(name, "/\x00")) {
			t.Errorf("name %q", name)
		}
		if path, id, err := ParseAltLink(b); err == nil && (path == "" || !Printable(path) || !validID(id)) {
			t.Errorf("path %q, build id %q", path, id)
		}
		if path, id, err := ParseSup(b, big); err == nil && (path == "" || !validID(id)) {
			t.Errorf("path %q, sum %q", path, id)
		}
		if id := ParseOwnSup(b, big); id != "" && !validID(id) {
			t.Errorf("sum %q", id)
		}
	})
}
