package qmp

import (
	"encoding/json"
	"testing"
)

// FuzzPlainReturn: the short way to a text takes what the general parser takes for the
// same, or leaves it to that.
func FuzzPlainReturn(f *testing.F) {
	for _, s := range []string{
		`{"return": ""}`,
		`{"return": "CPU#0\r\nRAX=0000000000000010 RBX=\t\"\\\/\r\n"}`,
		`{"return": "\u001b[K"}`,
		`{"return": "x", "id": "y"}`,
		`{"return": "x"}"}`,
		`{"return": "\"}`,
		`{"return": "a\qb"}`,
		`{"return": "ä"}`,
		`{"return": {}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		text := "untouched"
		if !plainReturn(line, &text) {
			if text != "untouched" {
				t.Fatalf("%q left behind", text)
			}
			return
		}
		var m struct{ Return string }
		if err := json.Unmarshal(line, &m); err != nil || m.Return != text {
			t.Fatalf("%q: %q, the general parser has %q, %v", line, text, m.Return, err)
		}
	})
}

// What QEMU answers to "info registers" goes the short way.
func TestPlainReturn(t *testing.T) {
	line, err := json.Marshal("CPU#0\r\nRIP=0000000000101234 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n")
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if !plainReturn([]byte(`{"return": `+string(line)+`}`), &text) || len(text) < 60 {
		t.Errorf("%q", text)
	}
}
