package tracebuf

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cType is an argument type of the C program and how the macro records it.
type cType struct {
	c   string
	arg Arg
}

var (
	cChar  = cType{"char", i1}
	cSChar = cType{"signed char", i1}
	cUChar = cType{"unsigned char", i1}
	cShort = cType{"short", i2}
	cInt   = cType{"int", i4}
	cUInt  = cType{"unsigned", i4}
	cLong  = cType{"long", i8}
	cULong = cType{"unsigned long", i8}
	cPtr   = cType{"void *", i8}
)

// printfCase is one call of the real printf.
type printfCase struct {
	format string
	types  []cType
	values []int64
	str    string // with types nil: the argument is this string
}

// printfCases crosses flags, widths, precisions and conversions with values.
// Only defined behaviour of C is asked for.
func printfCases() []printfCase {
	var cs []printfCase
	values := []int64{0, -1, -3, 42, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64}
	add := func(flags, spec string, ty cType) {
		for _, width := range []string{"", "5", "12"} {
			for _, prec := range []string{"", ".", ".3", ".9"} {
				for _, v := range values {
					cs = append(cs, printfCase{"[%" + flags + width + prec + spec + "]", []cType{ty}, []int64{v}, ""})
				}
			}
		}
	}
	for _, flags := range []string{"", "-", "0", "+", " ", "+0", "-+", " 0", "+ "} {
		add(flags, "d", cInt)
		add(flags, "i", cInt)
		add(flags, "ld", cLong)
		add(flags, "hhd", cSChar)
		add(flags, "hd", cShort)
	}
	for _, flags := range []string{"", "-", "0", "#", "#0", "-#"} {
		for _, conv := range []string{"x", "X", "o"} {
			add(flags, conv, cUInt)
			add(flags, "l"+conv, cULong)
			add(flags, "ll"+conv, cULong)
			add(flags, "hh"+conv, cUChar)
		}
	}
	for _, flags := range []string{"", "-", "0"} {
		add(flags, "u", cUInt)
		add(flags, "zu", cULong)
		add(flags, "ju", cULong)
		add(flags, "hu", cInt) // narrowed as C narrows
	}
	for _, width := range []string{"", "-", "3", "-3", "20", "-20"} {
		for _, v := range []int64{0, 1, 0x1000, -1} {
			cs = append(cs, printfCase{"[%" + width + "p]", []cType{cPtr}, []int64{v}, ""})
		}
		for _, v := range []int64{'a', '%', 1, 200} {
			cs = append(cs, printfCase{"[%" + width + "c]", []cType{cChar}, []int64{v}, ""})
		}
		for _, prec := range []string{"", ".", ".2", ".90"} {
			for _, s := range []string{"", "x", "hello world"} {
				cs = append(cs, printfCase{"[%" + width + prec + "s]", nil, nil, s})
			}
		}
	}
	for _, w := range []int64{-9, 0, 4, 9} {
		for _, p := range []int64{-1, 0, 3} {
			cs = append(cs, printfCase{"[%*.*d] 100%% %x", []cType{cInt, cInt, cInt, cUInt}, []int64{w, p, -42, 7}, ""})
			cs = append(cs, printfCase{"[%.*lu|%*d]\n", []cType{cInt, cULong, cInt, cInt}, []int64{p, 17, w, 5}, ""})
		}
	}
	return cs
}

// TestFormatAgainstC runs the same formats and values through the C library's
// printf, compiled here, and through ours.
func TestFormatAgainstC(t *testing.T) {
	cases := printfCases()
	var src strings.Builder
	src.WriteString("#include <stdio.h>\nint main(void)\n{\n")
	for _, c := range cases {
		fmt.Fprintf(&src, "printf(%s", cQuote(c.format))
		if c.types == nil {
			fmt.Fprintf(&src, ", %s", cQuote(c.str))
		}
		for i, ty := range c.types {
			fmt.Fprintf(&src, ", (%s)0x%xUL", ty.c, uint64(c.values[i]))
		}
		src.WriteString("); putchar(0);\n")
	}
	src.WriteString("return 0;\n}\n")
	dir := t.TempDir()
	file, bin := filepath.Join(dir, "p.c"), filepath.Join(dir, "p")
	if err := os.WriteFile(file, []byte(src.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-O0", "-w", "-o", bin, file).CombinedOutput(); err != nil {
		t.Fatalf("a C compiler is needed to compare with the real printf: %v\n%s", err, out)
	}
	out, err := exec.Command(bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Split(out, []byte{0})
	if len(want) != len(cases)+1 {
		t.Fatalf("C printed %d texts for %d cases", len(want)-1, len(cases))
	}
	bad := 0
	for i, c := range cases {
		if got := ours(c); got != string(want[i]) {
			if bad++; bad <= 40 {
				t.Errorf("%q of %v %q: %q, C prints %q", c.format, c.values, c.str, got, want[i])
			}
		}
	}
	t.Logf("%d texts compared, %d differ", len(cases), bad)
}

func ours(c printfCase) string {
	d := &testDef{name: "p", format: c.format}
	var args []any
	if c.types == nil {
		d.args, args = []Arg{st}, []any{c.str}
	}
	for i, ty := range c.types {
		d.args, args = append(d.args, ty.arg), append(args, int(c.values[i]))
	}
	defs, err := ParseDefinitions(section(0x1000, 8, d))
	if err != nil {
		return err.Error()
	}
	s := NewScanner(record(nil, d, 0, 1, args...), defs, 0)
	s.Scan()
	return string(s.Record().AppendText(nil))
}

func cQuote(s string) string {
	return `"` + strings.NewReplacer("\n", `\n`, `"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

// Formats C gives no meaning to, or whose arguments the macro does not record
// as C passes them, are told and never lose the record.
func TestFormatProblems(t *testing.T) {
	for _, c := range []struct {
		format  string
		args    []Arg
		values  []any
		text    string
		problem string
	}{
		{"%d %d", []Arg{i4}, []any{1}, "1 <not recorded>", "more arguments"},
		{"%d", []Arg{i4, i4}, []any{1, 2}, "1", "1 of 2"},
		{"%q %d", []Arg{i4}, []any{1}, "%q 1", "not known"},
		{"%d %", []Arg{i4}, []any{1}, "1 %", "not known"},
		{"%f", []Arg{i8}, []any{-3}, "-3", "whole numbers"},
		{"%s", []Arg{i8}, []any{0x1000}, "0x1000", "not recorded as a string"},
		{"%d", []Arg{st}, []any{"abc"}, "abc", "another conversion"},
		{"%d", []Arg{i8}, []any{1 << 40}, "1099511627776", ""}, // a long under %d: the whole value is recorded
		{"%d", []Arg{i1}, []any{-3}, "-3", ""},
		{"%u", []Arg{i1}, []any{-3}, "253", ""},
	} {
		d := &testDef{name: "p", format: c.format, args: c.args}
		defs, err := ParseDefinitions(section(0x1000, 8, d))
		if err != nil {
			t.Fatal(err)
		}
		s := NewScanner(record(nil, d, 0, 1, c.values...), defs, 0)
		s.Scan()
		got := s.Record().Text()
		problem := defs.All[0].FormatProblem()
		if got != c.text || !strings.Contains(problem, c.problem) || (problem == "") != (c.problem == "") {
			t.Errorf("%q: %q (%s), want %q (%s)", c.format, got, problem, c.text, c.problem)
		}
	}
	// A width of a hostile format is bounded.
	d := &testDef{name: "p", format: "%999999999d", args: []Arg{i4}}
	defs, _ := ParseDefinitions(section(0x1000, 8, d))
	s := NewScanner(record(nil, d, 0, 1, 1), defs, 0)
	s.Scan()
	if n := len(s.Record().AppendText(nil)); n != maxField {
		t.Errorf("field of %d bytes", n)
	}
}
