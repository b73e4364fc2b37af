package perfetto

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// WriteChrome writes the spans to w in the Trace Event Format, the JSON that
// chrome://tracing and ui.perfetto.dev open.
func WriteChrome(w io.Writer, spans iter.Seq2[exporters.Span, error], opt Options) (Stats, error) {
	c := &chrome{w: bufio.NewWriterSize(w, 64<<10), tracks: map[track]int{}}
	c.text(`{"displayTimeUnit":"ns","traceEvents":[` + "\n")
	name := opt.Process
	if name == "" {
		name = "guest"
	}
	c.event(chromeEvent{Name: "process_name", Phase: "M", Args: map[string]any{"name": name}})
	err := windows(spans, opt.Clock, func(ps []placed) error {
		for i := range ps {
			c.span(&ps[i], opt.Clock)
		}
		return c.err
	})
	if err == nil {
		err = opt.instants(func(e *exporters.Event) error {
			c.instant(c.tid(track{thread: e.Thread}), e, opt.Clock)
			return c.err
		})
	}
	if err == nil {
		err = opt.counters(func(n *exporters.Counter) error {
			c.stats.Counters++
			name := n.Name
			if n.Unit != "" {
				name += " (" + n.Unit + ")"
			}
			c.event(chromeEvent{Name: name, Phase: "C", Time: micros(traceTime(opt.Clock, n.Time)), Args: map[string]any{"value": n.Value}})
			return c.err
		})
	}
	c.text("\n]}\n")
	if ferr := c.w.Flush(); err == nil && ferr != nil {
		err = ferr
	}
	if c.err != nil {
		err = c.err
	}
	if err != nil {
		return c.stats, fmt.Errorf("writing a Chrome trace: %w", err)
	}
	return c.stats, nil
}

// chromeEvent is one object of traceEvents. Times are microseconds with three
// decimals.
type chromeEvent struct {
	Name     string         `json:"name"`
	Category string         `json:"cat,omitempty"`
	Phase    string         `json:"ph"`
	Time     json.Number    `json:"ts,omitempty"`
	Duration json.Number    `json:"dur,omitempty"`
	PID      int            `json:"pid"`
	TID      int            `json:"tid"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

type chrome struct {
	w      *bufio.Writer
	err    error
	some   bool
	stats  Stats
	tracks map[track]int
}

func (c *chrome) text(s string) {
	if c.err == nil {
		_, c.err = c.w.WriteString(s)
	}
}

func (c *chrome) event(e chromeEvent) {
	if c.some {
		c.text(",\n")
	}
	c.some = true
	e.PID = pid
	e.Name = strings.ToValidUTF8(e.Name, "\uFFFD")
	data, err := json.Marshal(e)
	if c.err == nil {
		c.err = err
	}
	c.text(string(data))
}

func micros(ns int64) json.Number {
	return json.Number(strconv.FormatInt(ns/1000, 10) + fmt.Sprintf(".%03d", ns%1000))
}

// tid returns the track's number and names it when it is new.
func (c *chrome) tid(tr track) int {
	if tid, ok := c.tracks[tr]; ok {
		return tid
	}
	if len(c.tracks) >= maxTracks && tr != others {
		return c.tid(others)
	}
	tid := len(c.tracks) + 1
	c.tracks[tr] = tid
	c.stats.Tracks++
	c.event(chromeEvent{Name: "thread_name", Phase: "M", TID: tid, Args: map[string]any{"name": tr.name()}})
	return tid
}

func (c *chrome) span(p *placed, clock exporters.Clock) {
	tid := c.tid(track{p.Thread, p.lane})
	args := chromeArgs(withCPU(p.Attrs, p.CPU))
	if p.Err {
		args["error"], args["error.type"], args["error.text"] = true, p.ErrType, p.ErrText
	}
	if p.Function != "" || p.File != "" {
		args["source"] = fmt.Sprintf("%s (%s:%d)", p.Function, p.File, p.Line)
	}
	c.stats.Spans++
	c.event(chromeEvent{Name: p.Name, Category: category, Phase: "X", Time: micros(p.start), Duration: micros(p.end - p.start), TID: tid, Args: args})
	for i := range p.Events {
		c.instant(tid, &p.Events[i], clock)
	}
}

func (c *chrome) instant(tid int, e *exporters.Event, clock exporters.Clock) {
	c.stats.Instants++
	c.event(chromeEvent{Name: e.Name, Category: category, Phase: "i", Scope: "t", Time: micros(traceTime(clock, e.Time)), TID: tid, Args: chromeArgs(withCPU(e.Attrs, e.CPU))})
}

// chromeArgs keeps integers a JavaScript number cannot hold as text.
func chromeArgs(attrs []exporters.Attr) map[string]any {
	const exact = 1 << 53
	m := make(map[string]any, len(attrs))
	for _, a := range attrs {
		switch a.Kind {
		case exporters.KindBool:
			m[a.Key] = a.Num != 0
		case exporters.KindUint:
			m[a.Key] = a.Num
			if a.Num > exact {
				m[a.Key] = strconv.FormatUint(a.Num, 10)
			}
		case exporters.KindInt:
			v := int64(a.Num)
			m[a.Key] = v
			if v > exact || v < -exact {
				m[a.Key] = strconv.FormatInt(v, 10)
			}
		case exporters.KindPointer:
			m[a.Key] = fmt.Sprintf("%#x", a.Num)
		default:
			m[a.Key] = a.Str
		}
	}
	return m
}
