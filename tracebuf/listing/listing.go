package listing

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Lister writes records to a writer.
type Lister struct {
	w    io.Writer
	opt  Options
	buf  []byte
	vals []tracebuf.Value
	// guest is the one whose names are prepared.
	guest *stream.Guest
	names [][]byte
}

// flushAt is how much is gathered before it is written, in bytes.
const flushAt = 64 << 10

// New writes to w; Flush or Close at the end.
func New(w io.Writer, opt Options) *Lister {
	l := &Lister{w: w, opt: opt}
	if opt.Form == CSV {
		l.buf = append(l.buf, Header...)
	}
	return l
}

// Flush writes what is gathered.
func (l *Lister) Flush() error {
	_, err := l.w.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}

func (l *Lister) flushIfFull() error {
	if len(l.buf) < flushAt {
		return nil
	}
	return l.Flush()
}

// Line returns the line of a record, valid until the next call.
func (l *Lister) Line(s *analysis.Seen) []byte {
	from := len(l.buf)
	l.record(s)
	line := l.buf[from:]
	l.buf = l.buf[:from]
	return line
}

func (l *Lister) record(s *analysis.Seen) {
	if l.guest != s.Guest {
		l.guest, l.names = s.Guest, namesOf(s.Guest)
	}
	ln := line{rec: s.Rec, guest: s.Guest.Label(), thread: s.Thread(), cpu: -1, names: l.names}
	if s.Rec.Problem == tracebuf.Good {
		ln.unix, ln.cpu = s.Unix(), s.CPU()
	}
	l.buf = l.opt.append(l.buf, &ln, &l.vals)
}

// Record writes one record, good or bad; it is a Visitor's.
func (l *Lister) Record(s *analysis.Seen) error {
	l.record(s)
	return l.flushIfFull()
}

// Gap writes that records are missing; it is a Visitor's.
func (l *Lister) Gap(g *stream.Guest, lost *recording.Lost) error {
	l.buf = l.opt.gap(l.buf, g, lost)
	return l.flushIfFull()
}

// Damage writes that a part of a file could not be read; it is a Visitor's.
func (l *Lister) Damage(d *stream.Damage) error {
	l.buf = l.opt.damage(l.buf, d)
	return l.flushIfFull()
}

func (o *Options) gap(dst []byte, g *stream.Guest, lost *recording.Lost) []byte {
	why := map[uint32]string{recording.LostFull: "the buffer was full", recording.LostOverwritten: "the ring was overwritten", recording.LostDamaged: "no records"}[lost.Reason]
	switch o.Form {
	case CSV:
		return dst
	case JSON:
		dst = strconv.AppendUint(append(dst, `{"lost":{"from_ns":`...), lost.From, 10)
		if lost.To != 0 {
			dst = strconv.AppendUint(append(dst, `,"to_ns":`...), lost.To, 10)
		}
		if lost.Records != recording.Unknown {
			dst = strconv.AppendUint(append(dst, `,"records":`...), lost.Records, 10)
		}
		return append(appendJSON(append(dst, `,"reason":`...), []byte(why)), "}}\n"...)
	}
	dst = append(appendSeconds(dst, lost.From), "  --- lost: "...)
	switch {
	case lost.To == 0:
		dst = append(dst, "everything from here on"...)
	default:
		dst = append(dst, fmt.Sprintf("%.6f s without records", float64(lost.Length())/1e9)...)
	}
	if lost.Records != recording.Unknown {
		dst = append(dst, fmt.Sprintf(", %d records", lost.Records)...)
	}
	return append(dst, fmt.Sprintf(" (%s) ---\n", why)...)
}

func (o *Options) damage(dst []byte, d *stream.Damage) []byte {
	switch o.Form {
	case CSV:
		return dst
	case JSON:
		return fmt.Appendf(dst, `{"damage":{"offset":%d,"size":%d,"reason":%s}}`+"\n", d.Offset, d.Size, appendJSON(nil, []byte(d.Reason)))
	}
	return fmt.Appendf(dst, "               -  --- file: %d bytes at %#x could not be read: %s ---\n", d.Size, d.Offset, d.Reason)
}

// errEnd ends a reading without a failure.
var errEnd = errors.New("the rest is not wanted")
