package tracebuf

import (
	"encoding/binary"
	"testing"
)

// testDef writes definitions and records the way Unikraft's macro does.
type testDef struct {
	name, format string
	args         []Arg
	cookie       uint64
}

func (d testDef) bytes(align int) []byte {
	var b []byte
	body := definitionHeader + 2*len(d.args) + len(d.name) + 1 + len(d.format) + 1
	size := (body + 7) &^ 7
	b = binary.LittleEndian.AppendUint32(b, definitionMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint64(b, d.cookie)
	b = append(b, byte(len(d.args)), byte(len(d.name)+1), byte(len(d.format)+1))
	for _, a := range d.args {
		b = append(b, a.Size)
	}
	for _, a := range d.args {
		b = append(b, byte(a.Type))
	}
	b = append(append(b, d.name...), 0)
	b = append(append(b, d.format...), 0)
	for len(b)%align != 0 || len(b) < size {
		b = append(b, 0)
	}
	return b
}

// section lays definitions out at base and sets their cookies.
func section(base uint64, align int, defs ...*testDef) []byte {
	var b []byte
	for _, d := range defs {
		d.cookie = base + uint64(len(b))
		b = append(b, d.bytes(align)...)
	}
	return b
}

// record appends one record; args are integers or strings.
func record(b []byte, d *testDef, slide, time uint64, args ...any) []byte {
	var body []byte
	for i, a := range args {
		switch v := a.(type) {
		case string:
			body = append(append(body, byte(len(v))), v...)
		case int:
			var w [8]byte
			binary.LittleEndian.PutUint64(w[:], uint64(v))
			body = append(body, w[:d.args[i].Size]...)
		default:
			panic("argument is neither int nor string")
		}
	}
	b = binary.LittleEndian.AppendUint32(b, recordMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint64(b, time)
	b = binary.LittleEndian.AppendUint64(b, d.cookie+slide)
	return append(b, body...)
}

var (
	i1 = Arg{ArgInt, 1}
	i2 = Arg{ArgInt, 2}
	i4 = Arg{ArgInt, 4}
	i8 = Arg{ArgInt, 8}
	st = Arg{ArgString, 8}
)

// sample is a small set of tracepoints and their definitions.
type sample struct {
	open, openRet, openErr, plain, none, sw *testDef
	section                                 []byte
	defs                                    *Definitions
}

func newSample(t testing.TB, align int) *sample {
	t.Helper()
	s := &sample{
		open:    &testDef{name: "vfs_open", format: "\"%s\" 0x%x 0%0o", args: []Arg{st, i4, i2}},
		openRet: &testDef{name: "vfs_open_ret", format: "%d", args: []Arg{i4}},
		openErr: &testDef{name: "vfs_open_err", format: "%d", args: []Arg{i4}},
		plain:   &testDef{name: "mix", format: "%hhd %s|%-8s|%#lx %p\n", args: []Arg{i1, st, st, i8, i8}},
		none:    &testDef{name: "none", format: "nothing %%"},
		sw:      &testDef{name: "sched_switch", format: "%s -> %s", args: []Arg{st, st}},
	}
	s.section = section(0x140000, align, s.open, s.openRet, s.openErr, s.plain, s.none, s.sw)
	defs, err := ParseDefinitions(s.section)
	if err != nil {
		t.Fatal(err)
	}
	s.defs = defs
	return s
}
