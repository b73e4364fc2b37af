package asserts

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// names is a symbol table of a test.
type names map[uint64][]Frame

func (n names) Frames(lookup uint64) []Frame { return n[lookup] }

type text map[int]string

func (s text) Lines(_ string, line, around int) (out []SourceLine) {
	for i := line - around; i <= line+around; i++ {
		if t, ok := s[i]; ok {
			out = append(out, SourceLine{i, t})
		}
	}
	return out
}

func TestRender(t *testing.T) {
	f := scanAll(t, readLog(t, "0.17-x86-page-fault-null-store"))[0]
	f.Next = []string{"print *r on a dump"}
	f.Cause = Cause{Text: "write through a null pointer: p is NULL", From: "inferred"}
	f.Instruction = "movl $1,(%rax)"
	f.Object = &Object{Text: "the page at 0"}
	var out bytes.Buffer
	err := Render(&out, f, RenderOptions{
		Names: names{
			0x156d85: {{Function: "poke", File: "/src/app/main.c", Line: 41, Inline: true}, {Function: "main", File: "/src/app/main.c", Line: 60}},
			0x1424a6: {{Function: "do_main", File: "boot.c", Line: 7}},
		},
		Source: text{40: "\tint *p = next();", 41: "\t*p = 1; \x1b[31m", 42: "}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "render.txt")
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("differs from %s:\n%s", golden, out.Bytes())
	}
}

// TestRenderEscapes: a hostile guest can't send anything to the terminal.
func TestRenderEscapes(t *testing.T) {
	log := "CRIT: <a\xff\u202eb> Assertion failure: \xc2\x9b31m \u2028 \x01\xf0\x9f\x92\xa5\nRegisters\x7f\n"
	for _, f := range scanText(t, log) {
		f.Details = append(f.Details, Detail{"x\x1b]0;", "\x1b[2J\u009b"})
		f.Consequences = append(f.Consequences, Consequence{Reason: "\x1b[2J"})
		f.NotPrinted = append(f.NotPrinted, "\x1b[2J")
		f.Location.File = "\x1b[2J/\x07"
		f.Subkind = "\x1b"
		f.Next = []string{"\x1b"}
		f.Cause = Cause{Text: "\x1b"}
		f.Object = &Object{Text: "\x1b"}
		f.Instruction = "\x1b"
		f.Registers = append(f.Registers, Register{Name: "\x1b", Text: "\x1b"})
		var out strings.Builder
		if err := Render(&out, f, RenderOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range out.String() {
			if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x2028 || c == 0xfffd {
				t.Errorf("%q came through:\n%q", c, out.String())
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	at := func(reason string, fns ...string) string {
		f := &Fault{Kind: PageFault, Subkind: SubNullDereference, Reason: reason}
		return f.Fingerprint(fns)
	}
	if a, b := at("read of 0x8", "serve", "main"), at("read of 0x18", "serve", "main"); a != b {
		t.Errorf("other addresses, other fingerprints: %s, %s", a, b)
	}
	if a, b := at("x", "a", "b", "c", "d", "e", "f"), at("x", "a", "b", "c", "d", "e", "g"); a != b {
		t.Error("the sixth function counts")
	}
	if at("x", "serve") == at("x", "parse") || at("x", "ab", "c") == at("x", "a", "bc") {
		t.Error("other functions, equal fingerprints")
	}
	if at("index 9 of 0xff00") != at("index 12 of 0x10") || at("index") == at("shift") {
		t.Error("without functions the text counts, its numbers do not")
	}
	if n := len(at("x")); n != 8 {
		t.Errorf("%d digits", n)
	}
}
