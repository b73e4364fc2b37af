package tracetest

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// base is the link-time address of the first definition.
const base = 0x140000

// Trace is a made-up image's tracepoints and what its guest recorded.
type Trace struct {
	// Section is .uk_tracepoints_list, Definitions what is in it.
	Section     []byte
	Definitions *tracebuf.Definitions
	// Records are the bytes of the buffer.
	Records []byte

	t testing.TB
}

// New makes tracepoints, each of them "name format": an argument printed by %s
// is a string, by %c one byte, by a conversion with an l or by %p eight, by any
// other four.
func New(t testing.TB, points ...string) *Trace {
	t.Helper()
	tr := &Trace{t: t}
	for _, p := range points {
		name, format, _ := strings.Cut(p, " ")
		tr.define(name, format)
	}
	var err error
	if tr.Definitions, err = tracebuf.ParseDefinitions(tr.Section); err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *Trace) define(name, format string) {
	var sizes, types []byte
	for _, part := range strings.Split(format, "%")[1:] {
		size, typ := byte(4), byte(tracebuf.ArgInt)
		switch {
		case part[0] == 's':
			size, typ = 8, byte(tracebuf.ArgString)
		case part[0] == 'c':
			size = 1
		case part[0] == 'p' || strings.HasPrefix(strings.TrimLeft(part, "#0123456789"), "l"):
			size = 8
		}
		sizes, types = append(sizes, size), append(types, typ)
	}
	size := (19 + 2*len(sizes) + len(name) + len(format) + 2 + 31) &^ 31
	start := len(tr.Section)
	b := append(tr.Section, "TPde"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint64(b, base+uint64(start))
	b = append(b, byte(len(sizes)), byte(len(name)+1), byte(len(format)+1))
	b = append(append(append(append(b, sizes...), types...), name...), 0)
	b = append(append(b, format...), 0)
	tr.Section = append(b, make([]byte, start+size-len(b))...)
}

func (tr *Trace) args(name string, args []any) (d *tracebuf.Definition, body []byte) {
	tr.t.Helper()
	if d = tr.Definitions.ByName(name); d == nil || len(d.Args) != len(args) {
		tr.t.Fatalf("no tracepoint %s with %d arguments", name, len(args))
	}
	for i, a := range args {
		switch v := a.(type) {
		case string:
			body = append(append(body, byte(len(v))), v...)
		case int:
			body = append(body, binary.LittleEndian.AppendUint64(nil, uint64(v))[:d.Args[i].Size]...)
		default:
			tr.t.Fatalf("argument %d of %s is neither string nor int", i, name)
		}
	}
	return d, body
}

// Add appends a plain record; time is in nanoseconds since boot.
func (tr *Trace) Add(time uint64, name string, args ...any) {
	tr.t.Helper()
	d, body := tr.args(name, args)
	b := append(tr.Records, "TRhd"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint64(b, time)
	b = binary.LittleEndian.AppendUint64(b, d.Cookie)
	tr.Records = append(b, body...)
}

// AddExtended appends a record of uktrace's rings.
func (tr *Trace) AddExtended(time uint64, e tracebuf.Ext, name string, args ...any) {
	tr.t.Helper()
	d, body := tr.args(name, args)
	tr.Records = tracebuf.AppendExtended(tr.Records, time, d.Cookie, e, body)
}
