package ukdbg

import (
	"errors"
	"iter"
	"strconv"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

// trace is all that the forms with more than spans write.
func (m *model) trace() exporters.Trace {
	return exporters.Trace{Process: m.name(), Clock: m.clock, Spans: m.spans(), Instants: m.instants(), Records: m.records()}
}

// name is what the guest is called.
func (m *model) name() string {
	if m.x.Service == "" && m.first != nil {
		return m.first.Label()
	}
	return m.x.Service
}

// records are all records the query chose, with their arguments by name.
func (m *model) records() iter.Seq2[exporters.Event, error] {
	return func(yield func(exporters.Event, error) bool) {
		var values []tracebuf.Value
		err := m.run(analysis.Visitor{Record: func(s *analysis.Seen) error {
			ev := exporters.Event{
				Name: s.Rec.Def.Name, Time: int64(s.Rec.Time), Thread: m.thread(s.Guest, s.Thread()), CPU: cpuOf(s),
			}
			if m.dated {
				ev.Time = s.Unix() - m.boot
			}
			values = s.Rec.Values(values[:0])
			for i, v := range values {
				ev.Attrs = append(ev.Attrs, attribute(s.Rec, i, v))
			}
			if !yield(ev, nil) {
				return errStop
			}
			return nil
		}})
		if err != nil && !errors.Is(err, errStop) {
			yield(exporters.Event{}, err)
		}
	}
}

// attribute names argument i as the format does, else by its number.
func attribute(r *tracebuf.Record, i int, v tracebuf.Value) exporters.Attr {
	d := r.Def
	key := d.ArgName(i)
	if key == "" {
		key = "arg" + strconv.Itoa(i)
	}
	switch {
	case d.Args[i].Type == tracebuf.ArgString:
		return exporters.String(key, string(r.Str(v)))
	case d.Signed(i):
		shift := 64 - 8*uint(d.Args[i].Size)
		return exporters.Int(key, int64(v.Num<<shift)>>shift)
	}
	return exporters.Uint(key, v.Num)
}

func cpuOf(s *analysis.Seen) exporters.CPU {
	if n := s.CPU(); n >= 0 {
		return exporters.CPU{ID: n, Known: true}
	}
	return exporters.CPU{}
}
