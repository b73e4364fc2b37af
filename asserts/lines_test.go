package asserts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain\r\n":                         "plain",
		"\x1b[0m\x1b[1;31mred\x1b[0m\r\r\n": "red",
		"\x1b]0;title\x07text":              "text",
		"\x1b]0;title\x1b\\text":            "text",
		"cut escape \x1b[12":                "cut escape 12",
		"bell\a and back\b":                 "bell and back",
		"\x1b":                              "",
		"a\x00b\tc":                         "a\x00b\tc",
		"\x1b\x1b[0mx":                      "x",
	} {
		if got := string(clean([]byte(in))); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSegments(t *testing.T) {
	type seg struct {
		level                   level
		thread, lib, file, body string
		line                    int
		caller                  uint64
		stale                   bool
	}
	tests := []struct {
		in   string
		want []seg
	}{
		{"[   19.576167] CRIT: <init> {r:0x107d37,f:0x289f10} [libkvmplat] <traps.c @   84> Unhandled",
			[]seg{{levelCrit, "init", "libkvmplat", "traps.c", "Unhandled", 84, 0x107d37, false}}},
		{"[    0.1] no stamp", []seg{{body: "[    0.1] no stamp"}}},
		{"ERR:  [libubsan] text", []seg{{level: levelErr, lib: "libubsan", body: "text"}}},
		{"Info: text", []seg{{level: levelInfo, body: "text"}}},
		{"more Info: text", []seg{{body: "more Info: text"}}},
		{"Booting from ROM..CRIT: [libx] <a.c @ 1> b", []seg{{body: "Booting from ROM.."}, {levelCrit, "", "libx", "a.c", "b", 1, 0, false}}},
		{"x[    0.100000] CRIT: a [    0.200000] CRIT: b", []seg{{body: "x"}, {level: levelCrit, body: "a "}, {level: levelCrit, body: "b"}}},
		{"CRIT:  [0x0000000000000000]", []seg{{level: levelCrit, body: "[0x0000000000000000]"}}},
		{"CRIT: <<n/a>> body", []seg{{level: levelCrit, thread: "<n/a", body: "body"}}},
		{"CRIT: a < b && c @ 3 > 4", []seg{{level: levelCrit, body: "a < b && c @ 3 > 4"}}},
		{"CRIT: \x00body", []seg{{level: levelCrit, body: "body"}}},
		{"\x00[    0.100000] CRIT: \x00body", []seg{{level: levelCrit, body: "body"}}},
		{"CRIT: ====\x00  20\x000.125", []seg{{level: levelCrit, body: "====", stale: true}}},
		{"", []seg{{}}},
	}
	for _, tt := range tests {
		var got []seg
		splitSegments([]byte(tt.in), 1, 0, func(s *segment) {
			got = append(got, seg{s.level, string(s.thread), string(s.lib), string(s.file), string(s.body), s.fline, s.caller, s.stale})
		})
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
}

// TestLongLine: a line of any length is read in bounded memory, and the report
// at its end is found at its line and offset.
func TestLongLine(t *testing.T) {
	const report = "[    0.133086] CRIT: [appfault] <main.c @   13> Assertion failure: x\n"
	const size = 5 << 20
	r := io.MultiReader(strings.NewReader("one\n"), io.LimitReader(filler('a'), size), strings.NewReader(report))
	sc := NewScanner(r)
	if !sc.Scan() {
		t.Fatal("nothing found")
	}
	f := sc.Fault()
	if f.Kind != Assertion || f.Source.FirstLine != 2 {
		t.Errorf("got %s at line %d", f.Kind, f.Source.FirstLine)
	}
	if off := f.Source.ByteOffset; off < 4+size-MaxLine || off > 4+size {
		t.Errorf("offset %d is not that of the last piece of the line", off)
	}
	if len(sc.lines.buf) != readSize {
		t.Errorf("the buffer grew to %d", len(sc.lines.buf))
	}
	if sc.Scan() || sc.Err() != nil {
		t.Errorf("more than one fault, or %v", sc.Err())
	}
}

type filler byte

func (f filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

// TestCutAnywhere: how the text arrives makes no difference.
func TestCutAnywhere(t *testing.T) {
	log := readLog(t, "0.17-x86-ubsan-then-pf")
	want := marshal(t, scanAll(t, log))
	sc := NewScanner(iotest.OneByteReader(bytes.NewReader(log)))
	var got []*Fault
	for sc.Scan() {
		got = append(got, sc.Fault())
	}
	if !bytes.Equal(marshal(t, got), want) {
		t.Error("read byte by byte it decodes differently")
	}
}

// TestReadError: an I/O error is reported, after the faults before it.
func TestReadError(t *testing.T) {
	sc := NewScanner(io.MultiReader(bytes.NewReader(readLog(t, "0.17-x86-ssp")), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if !sc.Scan() || sc.Fault().Kind != StackSmash {
		t.Error("the fault before the error is missing")
	}
	if sc.Scan() || !errors.Is(sc.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("error %v", sc.Err())
	}
}

// TestTruncation cuts every log in many places: nothing panics, and what is
// found is never other than in the whole log, unless it is said that a number may
// be cut.
func TestTruncation(t *testing.T) {
	for name, lines := range everyLog(t) {
		log := []byte(strings.Join(lines, "\n"))
		whole := map[int64]*Fault{}
		for _, f := range scanAll(t, append(log, '\n')) {
			whole[f.Source.FirstLine] = f
		}
		for n := 0; n < len(log); n += 1 + len(log)/200 {
			for _, f := range scanAll(t, log[:n]) {
				w := whole[f.Source.FirstLine]
				if w == nil {
					continue // a consequence of one that is cut off differently
				}
				if why := lessThan(f, w); why != "" && !strings.Contains(strings.Join(f.NotPrinted, " "), "if it was cut") {
					t.Fatalf("%s cut at %d: %s\n%q", name, n, why, log[max(0, n-60):n])
				}
			}
		}
	}
}

// lessThan says what f knows that w does not.
func lessThan(f, w *Fault) string {
	for _, v := range []struct {
		name string
		f, w Word
	}{{"pc", f.PC, w.PC}, {"address", f.Address, w.Address}, {"error code", f.ErrorCode, w.ErrorCode}} {
		if v.f.Known && v.f != v.w {
			return fmt.Sprintf("%s is %#x, not %#x", v.name, v.f.V, v.w.V)
		}
	}
	for _, r := range f.Registers {
		if other := w.Reg(r.Name); r.Value.Known && r.Value != other {
			return fmt.Sprintf("%s is %#x, not %#x", r.Name, r.Value.V, other.V)
		}
	}
	return ""
}

// TestConstantMemory: neither ordinary text nor one line without an end takes
// more memory the longer it is.
func TestConstantMemory(t *testing.T) {
	ordinary := strings.Repeat("10.0.0.3 - - [22/Nov/2026:01:00:00 +0000] \"GET / HTTP/1.1\" 200 612\n[    0.1] Info: all is well\n", 1000)
	for name, text := range map[string]string{"lines": ordinary, "one line": strings.Repeat("a", 1<<16), "zeros": strings.Repeat("\x00", 1<<16)} {
		const size = 64 << 20
		sc := NewScanner(io.MultiReader(io.LimitReader(&repeated{text: text}, size), strings.NewReader("\nCRIT: Assertion failure: x\n")))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if !sc.Scan() || sc.Fault().Kind != Assertion {
			t.Fatalf("%s: nothing found", name)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

// repeated is a text without an end.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
