package listing

import (
	"strconv"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Form is how a line looks.
type Form uint8

const (
	// Text is for people.
	Text Form = iota
	// JSON is one object a line.
	JSON
	// CSV has a header line.
	CSV
)

// Options say how records are written.
type Options struct {
	Form Form
	// Guests names the guest in each line of the Text form.
	Guests bool
	// HostTime shows the host's time of day in the Text form, where it is known.
	HostTime bool
	// Workers is how many processors All uses, 0 for all.
	Workers int
}

// Header is the first line of the CSV form.
const Header = "time_ns,unix_ns,guest,thread,cpu,name,text\n"

// line is a record with what is around it.
type line struct {
	rec           *tracebuf.Record
	guest, thread string
	unix          int64
	cpu           int
	// names are the tracepoints' as the Text form shows them, by
	// Definition.Index.
	names [][]byte
}

// namesOf prepares the names of a guest's tracepoints.
func namesOf(g *stream.Guest) [][]byte {
	names := make([][]byte, len(g.Definitions.All))
	for i, d := range g.Definitions.All {
		names[i] = append(padFrom(appendSafe(nil, []byte(d.Name)), 0, 22), ' ')
	}
	return names
}

// noThread is what a record's name is aligned behind.
const noThread = "            "

// append writes one record with its line end.
func (o *Options) append(dst []byte, l *line, vals *[]tracebuf.Value) []byte {
	switch o.Form {
	case JSON:
		return o.json(dst, l, vals)
	case CSV:
		return o.csv(dst, l)
	}
	return o.text(dst, l)
}

func (o *Options) text(dst []byte, l *line) []byte {
	if o.Guests {
		from := len(dst)
		dst = padFrom(escapeFrom(append(dst, l.guest...), from), from, 12)
		dst = append(dst, "  "...)
	}
	r := l.rec
	if r.Problem != tracebuf.Good {
		dst = append(dst, "               -  at offset "...)
		dst = strconv.AppendInt(dst, int64(r.Offset), 10)
		dst = append(append(dst, ": "...), r.Problem.String()...)
		return append(dst, '\n')
	}
	if o.HostTime && l.unix != 0 {
		dst = time.Unix(0, l.unix).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	} else {
		dst = appendSeconds(dst, r.Time)
	}
	dst = append(dst, "  "...)
	from := len(dst)
	if l.thread == "" {
		dst = append(dst, noThread...)
	} else {
		dst = padFrom(escapeFrom(append(dst, l.thread...), from), from, 12)
	}
	dst = append(dst, ' ')
	dst = append(dst, l.names[r.Def.Index]...)
	from = len(dst)
	dst = trimEnd(r.AppendText(dst), from)
	return append(escapeFrom(dst, from), '\n')
}

func (o *Options) csv(dst []byte, l *line) []byte {
	r := l.rec
	if r.Problem != tracebuf.Good {
		return dst
	}
	dst = append(strconv.AppendUint(dst, r.Time, 10), ',')
	if l.unix != 0 {
		dst = strconv.AppendInt(dst, l.unix, 10)
	}
	dst = append(appendCSV(append(dst, ','), []byte(l.guest)), ',')
	dst = append(appendCSV(dst, []byte(l.thread)), ',')
	if l.cpu >= 0 {
		dst = strconv.AppendInt(dst, int64(l.cpu), 10)
	}
	dst = append(appendCSV(append(dst, ','), []byte(r.Def.Name)), ',')
	var few [256]byte
	return append(appendCSV(dst, trimEnd(r.AppendText(few[:0]), 0)), '\n')
}

func (o *Options) json(dst []byte, l *line, vals *[]tracebuf.Value) []byte {
	r := l.rec
	dst = append(dst, `{"time_ns":`...)
	dst = strconv.AppendUint(dst, r.Time, 10)
	if r.Problem != tracebuf.Good {
		dst = append(dst, `,"name":"","text":"","args":null,"error":`...)
		dst = appendJSON(dst, []byte(r.Problem.String()))
		dst = append(dst, `,"offset":`...)
		return append(strconv.AppendInt(dst, int64(r.Offset), 10), "}\n"...)
	}
	if l.unix != 0 {
		dst = strconv.AppendInt(append(dst, `,"unix_ns":`...), l.unix, 10)
	}
	dst = appendJSON(append(dst, `,"name":`...), []byte(r.Def.Name))
	var few [256]byte
	dst = appendJSON(append(dst, `,"text":`...), trimEnd(r.AppendText(few[:0]), 0))
	dst = append(dst, `,"args":[`...)
	*vals = r.Values((*vals)[:0])
	for i, v := range *vals {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case r.Def.Args[i].Type == tracebuf.ArgString:
			dst = appendJSON(dst, r.Str(v))
		case r.Def.Signed(i):
			dst = strconv.AppendInt(dst, r.Int(i), 10)
		default:
			dst = strconv.AppendUint(dst, v.Num, 10)
		}
	}
	dst = append(dst, ']')
	if l.thread != "" {
		dst = appendJSON(append(dst, `,"thread":`...), []byte(l.thread))
	}
	if l.cpu >= 0 {
		dst = strconv.AppendInt(append(dst, `,"cpu":`...), int64(l.cpu), 10)
	}
	if r.Ext != nil {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), r.Ext.Seq, 10)
		dst = appendStack(dst, r.Ext)
	}
	if o.Guests {
		dst = appendJSON(append(dst, `,"guest":`...), []byte(l.guest))
	}
	dst = append(dst, `,"offset":`...)
	return append(strconv.AppendInt(dst, int64(r.Offset), 10), "}\n"...)
}

// appendStack appends the return addresses of a backtrace, innermost first, as
// texts: a JSON number does not hold 64 bits everywhere.
func appendStack(dst []byte, e *tracebuf.Ext) []byte {
	if e.Depth() == 0 {
		return dst
	}
	dst = append(dst, `,"stack":[`...)
	for i := range e.Depth() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendUint(append(dst, `"0x`...), e.Frame(i), 16), '"')
	}
	return append(dst, ']')
}
