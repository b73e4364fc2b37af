package parquet

import (
	"bufio"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg/exporters"
)

// table is the columns of the file.
type table struct {
	kind, name, guest, time, duration, id, parent, root column
	threadID, thread, cpu                               column
	failed, errType, errText, attrs                     column

	clock exporters.Clock
	json  []byte
}

func newTable(clock exporters.Clock) *table {
	text := func(name string, opt bool) column {
		return column{name: name, physical: typeByteArray, logical: textual, optional: opt}
	}
	number := func(name string, l logical, opt bool) column {
		return column{name: name, physical: typeInt64, logical: l, optional: opt}
	}
	return &table{
		clock: clock,
		kind:  text("kind", false), name: text("name", false),
		guest: number("guest_ns", plain, false), time: number("time", timestamp, true), duration: number("duration_ns", plain, true),
		id: number("id", unsigned, true), parent: number("parent", unsigned, true), root: number("root", unsigned, true),
		threadID: number("thread_id", plain, true), thread: text("thread", true),
		cpu:    column{name: "cpu", physical: typeInt32, optional: true},
		failed: column{name: "error", physical: typeBoolean, optional: true}, errType: text("error_type", true), errText: text("error_text", true),
		attrs: column{name: "attributes", physical: typeByteArray, logical: jsonText},
	}
}

func (t *table) columns() []*column {
	return []*column{&t.kind, &t.name, &t.guest, &t.time, &t.duration, &t.id, &t.parent, &t.root, &t.threadID, &t.thread, &t.cpu,
		&t.failed, &t.errType, &t.errText, &t.attrs}
}

// Write writes the spans, then the records of no span.
func Write(w io.Writer, tr exporters.Trace) error {
	out := bufio.NewWriterSize(w, 256<<10)
	t := newTable(tr.Clock)
	f, err := newFile(out, t.columns())
	if err != nil {
		return fmt.Errorf("writing Parquet: %w", err)
	}
	err = t.rows(f, tr)
	if err == nil {
		err = f.close()
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("writing Parquet: %w", err)
	}
	return nil
}

func (t *table) rows(f *file, tr exporters.Trace) error {
	for s, err := range tr.Spans {
		if err != nil {
			return err
		}
		t.span(&s)
		if err := f.row(); err != nil {
			return err
		}
	}
	if tr.Instants == nil {
		return nil
	}
	for e, err := range tr.Instants {
		if err != nil {
			return err
		}
		t.event(&e)
		if err := f.row(); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) span(s *exporters.Span) {
	t.common("span", s.Name, s.Start, s.Thread, s.CPU, s.Attrs)
	t.duration.int64(max(s.End-s.Start, 0))
	t.id.int64(int64(s.ID))
	if s.Parent == 0 {
		t.parent.null()
	} else {
		t.parent.int64(int64(s.Parent))
	}
	root := s.Root
	if root == 0 {
		root = s.ID
	}
	t.root.int64(int64(root))
	t.failed.bool(s.Err)
	if s.Err {
		t.errType.text(s.ErrType)
		t.errText.text(s.ErrText)
	} else {
		t.errType.null()
		t.errText.null()
	}
}

func (t *table) event(e *exporters.Event) {
	t.common("event", e.Name, e.Time, e.Thread, e.CPU, e.Attrs)
	for _, c := range []*column{&t.duration, &t.id, &t.parent, &t.root, &t.failed, &t.errType, &t.errText} {
		c.null()
	}
}

// common fills the columns that spans and events share.
func (t *table) common(kind, name string, at int64, thread exporters.Thread, cpu exporters.CPU, attrs []exporters.Attr) {
	t.kind.text(kind)
	t.name.text(name)
	t.guest.int64(at)
	if t.clock.IsZero() {
		t.time.null()
	} else {
		unix, _ := t.clock.Unix(at)
		t.time.int64(unix)
	}
	if thread.Known {
		t.threadID.int64(thread.ID)
		t.thread.text(thread.Name)
	} else {
		t.threadID.null()
		t.thread.null()
	}
	if cpu.Known {
		t.cpu.int32(int32(cpu.ID))
	} else {
		t.cpu.null()
	}
	t.json = exporters.AppendJSON(t.json[:0], attrs)
	t.attrs.text(string(t.json))
}
