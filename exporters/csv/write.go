package csv

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// Header names the columns.
func Header() []string {
	return []string{"kind", "name", "guest_ns", "unix_ns", "duration_ns", "id", "parent", "root", "thread_id", "thread", "cpu",
		"error", "error_type", "error_text", "attributes"}
}

// Write writes the table: the spans, then the records of no span.
func Write(w io.Writer, t exporters.Trace) error {
	out := &table{w: csv.NewWriter(w), clock: t.Clock}
	err := out.all(t)
	out.w.Flush()
	if err == nil {
		err = out.w.Error()
	}
	if err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}

type table struct {
	w     *csv.Writer
	clock exporters.Clock
	row   [15]string
	json  []byte
}

func (t *table) all(tr exporters.Trace) error {
	if err := t.w.Write(Header()); err != nil {
		return err
	}
	for s, err := range tr.Spans {
		if err == nil {
			err = t.span(&s)
		}
		if err != nil {
			return err
		}
	}
	if tr.Instants == nil {
		return nil
	}
	for e, err := range tr.Instants {
		if err == nil {
			err = t.event(&e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *table) span(s *exporters.Span) error {
	r := t.begin("span", s.Name, s.Start, s.Thread, s.CPU, s.Attrs)
	r[4], r[5] = itoa(max(s.End-s.Start, 0)), utoa(s.ID)
	if s.Parent != 0 {
		r[6] = utoa(s.Parent)
	}
	r[7] = utoa(s.Root)
	if s.Root == 0 {
		r[7] = r[5]
	}
	r[11] = strconv.FormatBool(s.Err)
	r[12], r[13] = text(s.ErrType), text(s.ErrText)
	return t.w.Write(r)
}

func (t *table) event(e *exporters.Event) error {
	return t.w.Write(t.begin("event", e.Name, e.Time, e.Thread, e.CPU, e.Attrs))
}

// begin fills what spans and events have in common.
func (t *table) begin(kind, name string, at int64, thread exporters.Thread, cpu exporters.CPU, attrs []exporters.Attr) []string {
	clear(t.row[:])
	r := t.row[:]
	r[0], r[1], r[2] = kind, text(name), itoa(at)
	if !t.clock.IsZero() {
		unix, _ := t.clock.Unix(at)
		r[3] = itoa(unix)
	}
	if thread.Known {
		r[8], r[9] = itoa(thread.ID), text(thread.Name)
	}
	if cpu.Known {
		r[10] = strconv.Itoa(cpu.ID)
	}
	t.json = exporters.AppendJSON(t.json[:0], attrs)
	r[14] = string(t.json)
	return r
}

func itoa(v int64) string  { return strconv.FormatInt(v, 10) }
func utoa(v uint64) string { return strconv.FormatUint(v, 10) }

// text makes the guest's text safe for a spreadsheet.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
