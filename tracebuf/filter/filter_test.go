package filter

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// records returns one vfs_read(path="/tmp/a b", size=5000, off=-3, n=7) and the
// record that ends it, with ret=-2.
func records(t testing.TB) (enter, leave tracebuf.Record) {
	t.Helper()
	definition := func(cookie uint64, name, format string, sizes, types []byte) []byte {
		body := 19 + 2*len(sizes) + len(name) + 1 + len(format) + 1
		b := binary.LittleEndian.AppendUint32(nil, 0x65645054)
		b = binary.LittleEndian.AppendUint32(b, uint32(body))
		b = binary.LittleEndian.AppendUint64(b, cookie)
		b = append(b, byte(len(sizes)), byte(len(name)+1), byte(len(format)+1))
		b = append(append(b, sizes...), types...)
		b = append(append(b, name...), 0)
		return append(append(b, format...), 0)
	}
	section := definition(8, "vfs_read", `path="%s" size=%lu off=%ld %u`, []byte{8, 8, 8, 4}, []byte{1, 0, 0, 0})
	section = append(section, definition(16, "vfs_read_ret", `ret=%d`, []byte{4}, []byte{0})...)
	defs, err := tracebuf.ParseDefinitions(section)
	if err != nil {
		t.Fatal(err)
	}
	record := func(time, cookie uint64, args []byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, 0x64685254)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(args)))
		b = binary.LittleEndian.AppendUint64(b, time)
		return append(binary.LittleEndian.AppendUint64(b, cookie), args...)
	}
	args := append([]byte{8}, "/tmp/a b"...)
	args = binary.LittleEndian.AppendUint64(args, 5000)
	args = binary.LittleEndian.AppendUint64(args, ^uint64(2))
	args = binary.LittleEndian.AppendUint32(args, 7)
	data := append(record(1e9, 8, args), record(1e9+2e6, 16, []byte{0xfe, 0xff, 0xff, 0xff})...)
	sc := tracebuf.NewScanner(data, defs, 0)
	if !sc.Scan() || sc.Record().Problem != tracebuf.Good {
		t.Fatal("the test's record is bad")
	}
	enter = sc.Record().Clone()
	if !sc.Scan() || sc.Record().Problem != tracebuf.Good {
		t.Fatal("the test's second record is bad")
	}
	return enter, sc.Record().Clone()
}

func TestMatch(t *testing.T) {
	enter, leave := records(t)
	record := &Subject{Record: &enter, CPU: -1, Thread: "worker-1"}
	span := &Subject{
		Record: &enter, Leave: &leave, CPU: 1, Thread: "worker-1", Name: "vfs_read",
		Span: &tracebuf.Interval{Start: 1e9, End: 1e9 + 2e6, Inner: 5e5},
	}
	for _, c := range []struct {
		expr         string
		record, span bool
	}{
		{"", true, true},
		{`size>4096 && path~"/tmp"`, true, true},
		{`size>4K&&path~"^/tmp"`, true, true},
		{`size>=5000 && size<=5000 && size==5000 && !(size!=5000)`, true, true},
		{`size < 0x1388`, false, false},
		{`off == -3`, true, true},
		{`off < 0`, true, true},
		{`off > -4 && off <= -3`, true, true},
		{`size > -1`, true, true},
		{`path == "/tmp/a b"`, true, true},
		{`path == "/tmp*"`, true, true},
		{`path != "/t?p*"`, false, false},
		{`path !~ 'x'`, true, true},
		{`path ~ "a\sb"`, true, true},
		{`name == "vfs_*"`, true, true},
		{`name == 'vfs'`, false, false},
		{`thread ~ "worker-[0-9]"`, true, true},
		{`arg1 > 4096`, true, true},
		{`arg3 == 7`, true, true},
		{`arg.size == 5000`, true, true},
		{`time >= 1s && time < 1500ms`, true, true},
		{`text ~ "size=5000"`, true, true},
		// What only a span has is unknown of a record, and not false either.
		{`duration > 1ms`, false, true},
		{`!(duration > 1ms)`, false, false},
		{`duration == 2ms && self == 1500us`, false, true},
		{`duration > 1ms || size > 1`, true, true},
		{`failed`, false, false},
		{`!failed`, false, true},
		{`failed == false`, false, true},
		{`cpu == 1`, false, true},
		{`ret == -2`, false, true},
		{`ret.ret < 0`, false, true},
		{`ret0 == -2`, false, true},
		{`nothing == 0`, false, false},
		{`!(nothing == 0)`, false, false},
		{`nothing == 0 || true`, true, true},
		{`nothing == 0 && false`, false, false},
		{`!(nothing == 0 && false)`, true, true},
		{`path`, true, true},
		{`path > 5`, false, false},
	} {
		f, err := Parse(c.expr)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got := f.Match(record); got != c.record {
			t.Errorf("%s: %v of the record", c.expr, got)
		}
		if got := f.Match(span); got != c.span {
			t.Errorf("%s: %v of the span", c.expr, got)
		}
	}
	end := &Subject{Record: &leave, CPU: -1}
	if f, err := Parse("ret0 == -2 && ret == -2 && arg0 == -2"); err != nil || !f.Match(end) {
		t.Errorf("the end alone does not match: %v", err)
	}
}

func TestSyntax(t *testing.T) {
	for _, expr := range []string{
		"size >", "> 5", "(size > 5", "size > 5)", "size ~ 5 5", `path ~ "["`, `path ~ "abc`, "size > 5x", "size $ 5", `path < "a"`,
		"size > -", "5 > size", "size == -\"a\"", "a b", "0_ == 1",
	} {
		var se *SyntaxError
		if _, err := Parse(expr); !errors.As(err, &se) {
			t.Errorf("%q: %v", expr, err)
		}
	}
	deep := make([]byte, 200)
	for i := range deep {
		deep[i] = '('
	}
	if _, err := Parse(string(deep)); err == nil {
		t.Error("200 parentheses are accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`size>4096 && path~"/tmp"`, `!(a==1||b<2)`, `name=="x*" && duration>=1.5ms`, "-", `a==-3K`, "`x`", `a~'\\'`} {
		f.Add(s)
	}
	enter, leave := records(f)
	f.Fuzz(func(t *testing.T, expr string) {
		flt, err := Parse(expr)
		if err != nil {
			return
		}
		// Whatever it says, judging must not panic, and twice is the same.
		s := &Subject{Record: &enter, Leave: &leave, Span: &tracebuf.Interval{}, CPU: 0}
		if first, second := flt.Match(s), flt.Match(s); first != second {
			t.Fatal("two answers")
		}
		flt.Match(&Subject{Record: &leave, CPU: -1})
	})
}
