package tracebuf

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// tangled makes records of every kind in a random order, some of them damaged:
// begins without ends, ends without begins, several strings, switches, extended
// records.
func tangled(s *sample, seed uint64, n int, switches, extended bool) []byte {
	rnd := rand.New(rand.NewPCG(5, seed))
	var b []byte
	names := []string{"idle", "A", "B", ""}
	time := uint64(100)
	for range n {
		time += rnd.Uint64N(50)
		if rnd.IntN(40) == 0 {
			time -= min(time, 200)
		}
		switch kind := rnd.IntN(12); {
		case kind < 4:
			b = record(b, s.open, 0, time, names[rnd.IntN(4)], 1, 2)
		case kind < 7:
			b = record(b, s.openRet, 0, time, rnd.IntN(5)-2)
		case kind < 8:
			b = record(b, s.openErr, 0, time, -1)
		case kind < 9:
			b = record(b, s.plain, 0, time, -1, names[rnd.IntN(4)], "xy", 3, 4)
		case kind < 10 && switches:
			b = record(b, s.sw, 0, time, names[rnd.IntN(3)], names[rnd.IntN(3)])
		case kind < 11 && extended:
			e := Ext{CPU: uint16(rnd.IntN(2)), Thread: rnd.Uint64N(3), Stack: make([]byte, 8*rnd.IntN(3))}
			d := s.open
			args := []byte{0, 1, 0, 0, 0, 2, 0}
			if rnd.IntN(2) == 0 {
				d, args = s.openRet, []byte{3, 0, 0, 0}
			}
			b = AppendExtended(b, time, d.cookie, e, args)
		default:
			b = record(b, s.none, 0, time)
		}
		if rnd.IntN(60) == 0 {
			b = append(b, 0xde, 0xad)
		}
	}
	return b[:len(b)-rnd.IntN(5)]
}

// MeasureAll finds what Measure does, however few fit at a time.
func TestMeasureAll(t *testing.T) {
	s := newSample(t, 8)
	for seed := range uint64(40) {
		b := tangled(s, seed, 2000, seed%2 == 1, seed%4 > 1)
		sw := &Switch{Name: "sched_switch", From: 0, To: 1}
		p := NewPairer(s.defs, sw)
		var want []Interval
		met := make([]uint64, len(s.defs.All))
		sc := NewScanner(b, s.defs, 0)
		for sc.Scan() {
			r := sc.Record()
			if r.Problem != Good {
				p.Gap()
				continue
			}
			met[r.Def.Index]++
			if iv, ok := p.Measure(r); ok {
				want = append(want, iv)
			}
		}
		q := NewPairer(s.defs, sw)
		var got []Interval
		some := make([]Interval, 0, 1+seed)
		all := NewScanner(b, s.defs, 0)
		for more := true; more; {
			some, more = q.MeasureAll(all, some[:0])
			got = append(got, some...)
			if more && all.Record().Problem != Good {
				q.Gap()
			}
		}
		if len(want) < 100 || !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d intervals, Measure finds %d", seed, len(got), len(want))
		}
		if all.Stats() != sc.Stats() || !slices.Equal(q.UnmatchedByDefinition(), p.UnmatchedByDefinition()) {
			t.Errorf("seed %d: %+v and %+v", seed, all.Stats(), sc.Stats())
		}
		for i, n := range met {
			if q.Met(i) != n {
				t.Errorf("seed %d: %s met %d times of %d", seed, s.defs.All[i].Name, q.Met(i), n)
			}
		}
	}
}

// Decode finds the records of Scan with the values of Record.Values.
func TestDecode(t *testing.T) {
	s := newSample(t, 8)
	for seed := range uint64(20) {
		b := tangled(s, seed, 500, true, true)
		plain, decoded := NewScanner(b, s.defs, 0), NewScanner(b, s.defs, 0)
		for plain.Scan() {
			if !decoded.Decode() {
				t.Fatal("a record is missing")
			}
			r, d := plain.Record(), decoded.Record()
			if r.Problem != d.Problem || r.Offset != d.Offset || r.Size != d.Size || r.Def != d.Def || r.Time != d.Time {
				t.Fatalf("%+v and %+v", r, d)
			}
			vals := decoded.Values()
			if want := r.Values(nil); !slices.Equal(vals, want) {
				t.Fatalf("seed %d, record at %d: %v, want %v", seed, r.Offset, vals, want)
			}
			for i, v := range vals {
				if r.Def.Args[i].Type == ArgString && string(d.Str(v)) != r.String(i) || r.Def.Args[i].Type == ArgInt && v.Num != r.Uint(i) {
					t.Fatalf("argument %d of %s is %d %q", i, r.Def.Name, v.Num, d.Str(v))
				}
			}
		}
		if decoded.Decode() || len(decoded.Values()) != 0 {
			t.Error("there is a record after the last")
		}
	}
}

func TestNothingAllocatedForARecord(t *testing.T) {
	s := newSample(t, 8)
	b := tangled(s, 1, 1000, false, false)
	ivs := make([]Interval, 0, 64)
	for name, all := range map[string]func(){
		"Decode": func() {
			for sc := NewScanner(b, s.defs, 0); sc.Decode(); {
				sc.Values()
			}
		},
		"MeasureAll": func() {
			p := NewPairer(s.defs, nil)
			sc := NewScanner(b, s.defs, 0)
			for more := true; more; {
				ivs, more = p.MeasureAll(sc, ivs[:0])
			}
		},
	} {
		// What is made once, stacks among it, is far below one for a record.
		if n := testing.AllocsPerRun(5, all); n > 60 {
			t.Errorf("%s: %.0f allocations for 1,000 records", name, n)
		}
	}
}
