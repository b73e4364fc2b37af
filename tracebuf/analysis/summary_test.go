package analysis

import (
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/filter"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

func TestSummary(t *testing.T) {
	tr := newTrace(t)
	tr.Add(1000, "serve", 1)
	tr.Add(1100, "open", "/a")
	tr.Add(1400, "open_ret", 3)
	tr.Add(2000, "serve_ret", 1)
	tr.Add(3000, "serve", 2)
	tr.Add(3500, "note", "x")
	tr.Add(7000, "serve_err", 2)
	sum := NewSummary()
	totals := with(t, new(Query), tr, sum.Visitor())
	rows := sum.Rows()
	if len(rows) != 3 || rows[0].Name != "serve" || rows[0].Count != 2 || rows[0].Errors != 1 || rows[0].Self != 4700 || rows[0].Time.Sum() != 5000 {
		t.Fatalf("%+v", rows)
	}
	if rows[1].Name != "open" || rows[1].Time.Max() != 300 || rows[2].Name != "note" || !rows[2].Instant || rows[2].Count != 1 {
		t.Errorf("%+v %+v", rows[1], rows[2])
	}
	if totals.Records != 7 || totals.Spans != 3 || totals.Chosen != 4 || totals.Guests[0].Span() != 6000 {
		t.Errorf("%+v", totals)
	}
}

// The end of a span behind a loss may be another's: its time is in no figure, and is
// told; and what was lost is not time in which nothing happened.
func TestAcrossLost(t *testing.T) {
	b := &blocks{guest: &stream.Guest{Definitions: newTrace(t).Definitions}}
	before, after := newTrace(t), newTrace(t)
	before.Add(1000, "serve", 1)
	before.Add(1300, "serve_ret", 1)
	before.Add(2000, "serve", 2) // its end is lost, and the next begin
	after.Add(9_002_000, "serve_ret", 3)
	after.Add(9_003_000, "serve", 4)
	after.Add(9_003_400, "serve_err", 4)
	after.Add(9_004_000, "note", "x")
	b.chunks = []*stream.Chunk{
		{Guest: b.guest, Records: before.Records},
		{Guest: b.guest, Lost: &recording.Lost{From: 2500, To: 9_001_500, Records: 2}},
		// What another processor lost at the same time is not lost twice.
		{Guest: b.guest, Lost: &recording.Lost{From: 2000, To: 9_000_000, Records: 2}},
		{Guest: b.guest, Records: after.Records},
		// Behind the last record nothing was seen that could be lost.
		{Guest: b.guest, Lost: &recording.Lost{From: 9_005_000, To: 9_900_000, Records: 2}},
	}
	for _, many := range []bool{true, false} {
		sum, longest := NewSummary(), &Longest{Limit: 5}
		v := sum.Visitor()
		if !many {
			v.Intervals, v.Instants = nil, nil
			v.Span = func(s *Seen, sp *tracebuf.Span) error {
				return errors.Join(sum.Interval(s, &sp.Interval), longest.Span(s, sp))
			}
		}
		source := *b
		totals, err := new(Query).Run([]stream.Source{&source}, v)
		if err != nil {
			t.Fatal(err)
		}
		r := sum.Rows()[0]
		if r.Name != "serve" || r.Count != 3 || r.AcrossLost != 1 || r.Ambiguous != 1 || r.Errors != 1 {
			t.Errorf("many %v: %+v", many, r)
		}
		if r.Time.Count() != 2 || r.Time.Max() != 400 || r.Time.Quantile(0.999) > 410 || r.Self != 700 {
			t.Errorf("many %v: %d timed, most %d, 99.9 %% %d, self %d", many, r.Time.Count(), r.Time.Max(), r.Time.Quantile(0.999), r.Self)
		}
		if g := totals.Guests[0]; g.Span() != 9_003_000 || g.Covered() != 4000 {
			t.Errorf("many %v: %d of %d ns have records", many, g.Covered(), g.Span())
		}
		if !many && (longest.AcrossLost != 1 || len(longest.Spans()) != 2 || longest.Spans()[0].Duration() != 400) {
			t.Errorf("longest: %+v", longest)
		}
	}
}

// blocks is a source of several chunks with gaps, as a recording gives.
type blocks struct {
	guest  *stream.Guest
	chunks []*stream.Chunk
}

func (b *blocks) Guests() []*stream.Guest { return []*stream.Guest{b.guest} }

func (b *blocks) Next() (*stream.Chunk, error) {
	if len(b.chunks) == 0 {
		return nil, io.EOF
	}
	c := b.chunks[0]
	b.chunks = b.chunks[1:]
	return c, nil
}

// random makes chunks with gaps, damage and bad bytes.
func random(t *testing.T, seed uint64) *blocks {
	rnd := rand.New(rand.NewPCG(seed, 3))
	b := &blocks{guest: &stream.Guest{Definitions: newTrace(t).Definitions}}
	if seed%2 == 1 {
		b.guest.Switch = stream.FindSwitch(b.guest.Definitions)
	}
	time := uint64(1000)
	generation := uint32(0)
	for range 20 {
		tr := newTrace(t)
		for range rnd.IntN(60) {
			time += rnd.Uint64N(1000)
			switch rnd.IntN(9) {
			case 0, 1:
				tr.Add(time, "serve", 1)
			case 2:
				tr.Add(time, "serve_ret", 1)
			case 3:
				tr.Add(time, "serve_err", 1)
			case 4:
				tr.Add(time, "open", "/x")
			case 5:
				tr.Add(time, "open_ret", 4)
			case 6:
				tr.Add(time, "sched_switch", []string{"a", "b"}[rnd.IntN(2)], []string{"a", "b", "idle"}[rnd.IntN(3)], 1)
			case 7:
				tr.AddExtended(time, ring(rnd.Uint64N(2), 0), "serve", 1)
			default:
				tr.Add(time, "note", "n")
			}
			if rnd.IntN(30) == 0 {
				tr.Records = append(tr.Records, "rubbish"...)
			}
		}
		b.chunks = append(b.chunks, &stream.Chunk{Guest: b.guest, Records: tr.Records, Generation: generation})
		switch rnd.IntN(8) {
		case 0:
			b.chunks = append(b.chunks, &stream.Chunk{Guest: b.guest, Generation: generation, Lost: &recording.Lost{From: time, To: time + 10, Records: 5}})
		case 1:
			b.chunks = append(b.chunks, &stream.Chunk{Damage: &stream.Damage{Size: 10}})
		case 2:
			generation++
			time = 1000
		}
	}
	return b
}

// Many at a time and one by one give the same summary and totals.
func TestManyIsOneByOne(t *testing.T) {
	for seed := range uint64(60) {
		var sums [2]*Summary
		var totals [2]*Totals
		for i := range sums {
			sums[i] = NewSummary()
			v := sums[i].Visitor()
			if i == 1 {
				v.Intervals, v.Instants = nil, nil
			}
			var err error
			if totals[i], err = new(Query).Run([]stream.Source{random(t, seed)}, v); err != nil {
				t.Fatal(err)
			}
			for _, g := range totals[i].Guests {
				g.Guest = nil
			}
		}
		if !reflect.DeepEqual(totals[0], totals[1]) {
			t.Errorf("seed %d:\n%+v\n%+v", seed, totals[0], totals[1])
		}
		if !reflect.DeepEqual(sums[0].Rows(), sums[1].Rows()) {
			t.Errorf("seed %d: the rows differ", seed)
		}
	}
}

// A query that chooses is asked record by record, and chooses.
func TestQuery(t *testing.T) {
	tr := newTrace(t)
	for i := range 10 {
		at := uint64(1000 * (i + 1))
		tr.Add(at, "serve", i)
		tr.Add(at+uint64(10*i), "serve_ret", i)
	}
	where := func(text string) *filter.Filter {
		f, err := filter.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, c := range map[string]struct {
		q    Query
		want uint64
	}{
		"all":      {Query{}, 10},
		"time":     {Query{From: Moment{Set: true, Guest: 3000}, To: Moment{Set: true, Guest: 5000}}, 2},
		"relative": {Query{From: Moment{Set: true, Guest: 7000, Relative: true}}, 3},
		"name":     {Query{Names: []string{"op*"}}, 0},
		"where":    {Query{Where: where("id >= 8")}, 2},
		"duration": {Query{Where: where("duration >= 50ns")}, 5},
		"sample":   {Query{Sample: 3}, 4},
		"cpu":      {Query{CPUs: []int{0}}, 0},
		"thread":   {Query{Threads: []string{"worker"}}, 0},
	} {
		sum := NewSummary()
		totals := with(t, &c.q, tr, sum.Visitor())
		var n uint64
		for _, r := range sum.Rows() {
			n += r.Count
		}
		if n != c.want || totals.Records != 20 || totals.Spans != 10 {
			t.Errorf("%s: %d spans chosen, want %d; %+v", name, n, c.want, totals)
		}
	}
}

// What a visitor says ends the reading.
func TestVisitorError(t *testing.T) {
	tr := newTrace(t)
	tr.Add(1, "note", "a")
	stop := errors.New("stop")
	_, err := new(Query).Run([]stream.Source{source(tr)}, Visitor{Record: func(*Seen) error { return stop }})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

func BenchmarkSummary(b *testing.B) {
	tr := tracetest.New(b, "serve id=%d", "serve_ret id=%d", "note text=%s")
	for i := range 100_000 {
		tr.Add(uint64(1000*i), "serve", i)
		tr.Add(uint64(1000*i+300), "note", "some text")
		tr.Add(uint64(1000*i+900), "serve_ret", i)
	}
	b.SetBytes(int64(len(tr.Records)))
	b.ReportAllocs()
	for b.Loop() {
		sum := NewSummary()
		if _, err := new(Query).Run([]stream.Source{source(tr)}, sum.Visitor()); err != nil {
			b.Fatal(err)
		}
	}
}
