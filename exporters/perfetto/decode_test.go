package perfetto

import (
	"bytes"
	"fmt"
	"sort"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a decoded protobuf message: values by field number.
type message map[protowire.Number][]any // uint64 or []byte

func decode(t testing.TB, b []byte) message {
	t.Helper()
	m := message{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("no tag: %v", protowire.ParseError(n))
		}
		b = b[n:]
		switch typ {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			m[num] = append(m[num], v)
			b = b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			m[num] = append(m[num], v)
			b = b[n:]
		case protowire.Fixed64Type:
			v, n := protowire.ConsumeFixed64(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			m[num] = append(m[num], v)
			b = b[n:]
		default:
			t.Fatalf("field %d of wire type %d", num, typ)
		}
	}
	return m
}

func (m message) num(f protowire.Number) uint64 {
	if len(m[f]) == 0 {
		return 0
	}
	return m[f][0].(uint64)
}

func (m message) str(f protowire.Number) string {
	if len(m[f]) == 0 {
		return ""
	}
	return string(m[f][0].([]byte))
}

func (m message) sub(t testing.TB, f protowire.Number) []message {
	var all []message
	for _, v := range m[f] {
		all = append(all, decode(t, v.([]byte)))
	}
	return all
}

// slice is what a viewer shows of a span.
type slice struct {
	track, name string
	start, end  uint64
	depth       int
	args        string
	source      string
}

// viewer reads a trace as Perfetto's trace processor does: interned names as
// they come, events sorted by time with ties in file order, slices by a stack
// for each track. The field numbers are written out, since those of the code
// are under test.
type viewer struct {
	slices, instants []slice
	unended          int
	counters         []string          // "name unit@time=value"
	flows            map[uint64]string // by number: the events in order of time
	realtime         uint64            // wall time at trace time 0
	process          string
	packets          int
}

func view(t testing.TB, file []byte) viewer {
	t.Helper()
	var v viewer
	tracks, units := map[uint64]string{}, map[uint64]string{}
	v.flows = map[uint64]string{}
	var interned [5]map[uint64]message
	type event struct {
		ts, typ, track     uint64
		name, args, source string
		flows              []any
	}
	var events []event
	for len(file) > 0 {
		num, typ, n := protowire.ConsumeTag(file)
		if n < 0 || num != 1 || typ != protowire.BytesType {
			t.Fatalf("not a trace packet")
		}
		file = file[n:]
		b, n := protowire.ConsumeBytes(file)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		file = file[n:]
		v.packets++
		p := decode(t, b)
		if p.num(10) == 0 {
			t.Fatal("packet without trusted_packet_sequence_id")
		}
		for _, d := range p.sub(t, 60) {
			name := d.str(2)
			for _, th := range d.sub(t, 4) {
				name = fmt.Sprintf("%s tid %d", th.str(5), th.num(2))
			}
			for _, pr := range d.sub(t, 3) {
				v.process = pr.str(6)
			}
			tracks[d.num(1)] = name
			for _, c := range d.sub(t, 8) {
				units[d.num(1)] = c.str(6)
			}
		}
		for _, s := range p.sub(t, 6) {
			for _, c := range s.sub(t, 1) {
				if c.num(1) == 1 {
					v.realtime = c.num(2)
				}
			}
		}
		if p.num(13)&1 != 0 {
			for i := range interned {
				interned[i] = map[uint64]message{}
			}
		}
		for _, in := range p.sub(t, 12) {
			for f := 1; f <= 4; f++ {
				for _, e := range in.sub(t, protowire.Number(f)) {
					if _, twice := interned[f][e.num(1)]; twice {
						t.Fatalf("interned id %d of field %d given twice", e.num(1), f)
					}
					interned[f][e.num(1)] = e
				}
			}
		}
		for _, e := range p.sub(t, 11) {
			if tracks[e.num(11)] == "" {
				t.Fatalf("event on track %d, which was not described", e.num(11))
			}
			if p.num(13)&2 == 0 {
				t.Fatal("event with interned names does not say that it needs them")
			}
			ev := event{ts: p.num(8), typ: e.num(9), track: e.num(11), flows: e[47]}
			if ev.typ == 4 {
				unit, ok := units[ev.track]
				if !ok || e[30] == nil {
					t.Fatal("a counter's event without its track or value")
				}
				v.counters = append(v.counters, fmt.Sprintf("%s %s@%d=%d", tracks[ev.track], unit, ev.ts, int64(e.num(30))))
				continue
			}
			name := interned[2][e.num(10)]
			if ev.typ != 2 && (name == nil || interned[1][e.num(3)].str(2) != "guest") {
				t.Fatal("event of an unknown name or category")
			}
			ev.name = name.str(2)
			if loc := interned[4][e.num(34)]; loc != nil {
				ev.source = fmt.Sprintf("%s %s:%d", loc.str(3), loc.str(2), loc.num(4))
			}
			for _, a := range e.sub(t, 4) {
				value := "?"
				switch {
				case a[2] != nil:
					value = fmt.Sprint(a.num(2) == 1)
				case a[3] != nil:
					value = fmt.Sprint(a.num(3))
				case a[4] != nil:
					value = fmt.Sprint(int64(a.num(4)))
				case a[6] != nil:
					value = fmt.Sprintf("%q", a.str(6))
				case a[7] != nil:
					value = fmt.Sprintf("%#x", a.num(7))
				}
				ev.args += interned[3][a.num(1)].str(2) + "=" + value + " "
			}
			events = append(events, ev)
		}
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].ts < events[j].ts })
	open := map[uint64][]int{}
	for _, e := range events {
		stack := open[e.track]
		for _, f := range e.flows {
			v.flows[f.(uint64)] += e.name + " "
		}
		s := slice{track: tracks[e.track], name: e.name, start: e.ts, end: e.ts, depth: len(stack), args: e.args, source: e.source}
		switch e.typ {
		case 1:
			open[e.track] = append(stack, len(v.slices))
			v.slices = append(v.slices, s)
		case 2:
			if len(stack) == 0 {
				t.Fatal("end of no slice")
			}
			v.slices[stack[len(stack)-1]].end = e.ts
			open[e.track] = stack[:len(stack)-1]
		case 3:
			v.instants = append(v.instants, s)
		}
	}
	for _, s := range open {
		v.unended += len(s)
	}
	return v
}

func mustWrite(t testing.TB, ps []placedInput, opt Options) viewer {
	t.Helper()
	var buf bytes.Buffer
	if _, err := Write(&buf, seq(ps), opt); err != nil {
		t.Fatal(err)
	}
	return view(t, buf.Bytes())
}
