package ring_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/ring/ringtest"
)

func reader(t testing.TB, g *ringtest.Guest, opt ring.Options) *ring.Reader {
	t.Helper()
	rings, err := ring.Open(t.Context(), g, ringtest.Image{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rings.NewReader(ringtest.Definitions(t), 0, opt)
}

// poll returns the values of the records and how many are told as lost.
func poll(t testing.TB, rd *ring.Reader) (values []uint64, lost uint64) {
	t.Helper()
	if err := rd.Poll(t.Context(), func(r *ring.Record) error {
		if r.Problem != tracebuf.Good {
			t.Errorf("%+v", r)
		}
		values, lost = append(values, r.Uint(0)), lost+r.Lost
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return values, lost
}

const short = 20 * time.Millisecond

func TestRefusesWhatItCannotTrust(t *testing.T) {
	for name, damage := range map[string]func(b []byte){
		"magic":    func(b []byte) { b[0]++ },
		"version":  func(b []byte) { b[8] = 2 },
		"checksum": func(b []byte) { b[40]++ },
		"size":     func(b []byte) { b[28]++ },
		"cpus":     func(b []byte) { b[36] = 3 },
		"rings":    func(b []byte) { b[56] += 8 },
		"points":   func(b []byte) { b[72]++ },
		"backward": func(b []byte) { binary.LittleEndian.PutUint64(b[72:], ringtest.Points-16) },
	} {
		g := ringtest.NewGuest()
		damage(g.Mem[ringtest.Header:])
		if _, err := ring.Open(t.Context(), g, ringtest.Image{}, 0); !errors.Is(err, ring.ErrUntrusted) {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
	if _, err := ring.Open(t.Context(), ringtest.NewGuest(), ringtest.Image{}, 16); err == nil {
		t.Error("a wrong slide was accepted")
	}
}

// Records come in order of time over all CPUs, each once, and laps around the
// ring lose none that are fetched in time.
func TestPolls(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	var want, got []uint64
	for i := range uint32(1000) {
		g.Write(int(i%3)&1, uint64(i), i)
		want = append(want, uint64(i))
		if i%17 == 0 {
			v, lost := poll(t, rd)
			if got = append(got, v...); lost != 0 {
				t.Fatalf("%d lost at %d", lost, i)
			}
		}
	}
	v, _ := poll(t, rd)
	if got = append(got, v...); !slices.Equal(got, want) {
		t.Errorf("got %d records, want %d", len(got), len(want))
	}
	if st := rd.Stats(); st.Read != 1000 || st.Written != 1000 || st.Lost != 0 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
}

func TestOverwritten(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	g.Write(0, 0, 0)
	poll(t, rd)
	for i := range uint32(500) {
		g.Write(0, uint64(i+1), i+1)
	}
	v, lost := poll(t, rd)
	if uint64(len(v))+lost != 500 || lost == 0 || v[len(v)-1] != 500 || v[0] != lost+1 {
		t.Errorf("%d records from %d, %d lost", len(v), v[0], lost)
	}
	// A reader that comes late says what was before it, which is not lost.
	late := reader(t, g, ring.Options{})
	v, lost = poll(t, late)
	if st := late.Stats(); lost != 0 || st.Before+st.Read != 501 || uint64(len(v)) != st.Read || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
	// One that wants only what is new gets that.
	fresh := reader(t, g, ring.Options{New: true})
	if v, _ = poll(t, fresh); len(v) != 0 {
		t.Errorf("%d old records", len(v))
	}
	g.Write(0, 600, 600)
	if v, _ = poll(t, fresh); !slices.Equal(v, []uint64{600}) {
		t.Errorf("%d, want the new one", v)
	}
}

// What is overwritten while it is read is not believed.
func TestOverwrittenMeanwhile(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	for i := range uint32(50) {
		g.Write(0, uint64(i), i)
	}
	reads, next := 0, uint32(50)
	g.OnRead = func() {
		// The fifth read is that of the first ring's bytes, the sixth its head.
		if reads++; reads == 5 {
			for range 60 {
				g.Write(0, uint64(next), next)
				next++
			}
		}
	}
	v, _ := poll(t, rd)
	g.OnRead = nil
	last := int64(-1)
	for _, n := range v {
		if int64(n) <= last || n >= 50 {
			t.Fatalf("%v", v)
		}
		last = int64(n)
	}
	more, _ := poll(t, rd)
	st := rd.Stats()
	if st.Read != uint64(len(v)+len(more)) || st.Before+st.Read+st.Lost != uint64(next) || st.Bad != 0 {
		t.Errorf("%+v of %d; %v then %v", st, next, v, more)
	}
}

// A record that its writer never finishes is waited for, then passed over and
// counted; one that is finished in time is not lost.
func TestUnfinished(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{Patience: short})
	g.Write(0, 1, 1)
	slow := g.Reserve(0, ringtest.Length)
	slowSeq := g.Number(0)
	g.Write(0, 3, 3)
	if v, _ := poll(t, rd); !slices.Equal(v, []uint64{1}) {
		t.Errorf("%v before the unfinished record", v)
	}
	g.Fill(0, slow, slowSeq, 2, 2)
	if v, lost := poll(t, rd); !slices.Equal(v, []uint64{2, 3}) || lost != 0 {
		t.Errorf("%v, %d lost, once it is finished", v, lost)
	}
	g.Reserve(0, ringtest.Length)
	g.Number(0)
	g.Write(0, 5, 5)
	if v, _ := poll(t, rd); len(v) != 0 {
		t.Errorf("%v behind the unfinished record", v)
	}
	time.Sleep(2 * short)
	v, lost := poll(t, rd)
	if st := rd.Stats(); !slices.Equal(v, []uint64{5}) || lost != 1 || st.Abandoned != 1 || st.Lost != 1 || st.Read != 4 {
		t.Errorf("%v, %d lost, %+v", v, lost, st)
	}
}

// An interrupt between a writer's two reservations swaps numbers; nothing is
// lost by that.
func TestSwappedNumbers(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	for i := range uint64(40) {
		a, b := g.Reserve(0, ringtest.Length), g.Reserve(0, ringtest.Length)
		nb, na := g.Number(0), g.Number(0)
		g.Fill(0, b, nb, 2*i+1, uint32(2*i+1))
		g.Fill(0, a, na, 2*i, uint32(2*i))
		if i%8 == 7 {
			if _, lost := poll(t, rd); lost != 0 {
				t.Errorf("%d lost", lost)
			}
		}
	}
	if st := rd.Stats(); st.Read != 80 || st.Lost != 0 || st.Before != 0 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
}

// The number behind a gap is the higher one of two that were swapped: the lower is
// not lost.
func TestSwappedBehindAGap(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	g.Write(0, 1, 1)
	poll(t, rd)
	// A gap right in front of the swapped two: the ring holds 4096-768 bytes of
	// which a reader is sure, and they are the oldest.
	for range 2 {
		g.Write(0, 2, 2)
	}
	a, b := g.Reserve(0, ringtest.Length), g.Reserve(0, ringtest.Length)
	nb, na := g.Number(0), g.Number(0)
	g.Fill(0, b, nb, 4, 4)
	g.Fill(0, a, na, 3, 3)
	for end := a + ringtest.Size - ringtest.Most; g.Head(0)+ringtest.Length <= end; {
		g.Write(0, 5, 5)
	}
	values, lost := poll(t, rd)
	if st := rd.Stats(); values[0] != 3 || lost != 2 || st.Lost != 2 || st.Read+st.Lost != st.Written {
		t.Errorf("the first record is %d, %d told as lost; %+v", values[0], lost, st)
	}
}

// A CPU that never recorded has a ring in no memory, and the spill area may be
// in none: both are no failure, and the first is told.
func TestMemoryNotGivenOut(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	rings, err := ring.Open(t.Context(), g, ringtest.Image{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.Hole = [2]uint64{ringtest.Rings + ringtest.Ring, ringtest.Rings + 2*ringtest.Ring}
	g.Write(0, 1, 1)
	if v, _ := poll(t, rd); !slices.Equal(v, []uint64{1}) || rd.Stats().Unreadable != 1 {
		t.Errorf("%v, %+v", v, rd.Stats())
	}
	if s, err := rings.State(t.Context()); err != nil || s.Unreadable != 1 || !slices.Equal(s.Written, []uint64{1, 0}) {
		t.Errorf("%+v, %v", s, err)
	}
	// Up to where the ring's end is near, and over it.
	const n = ringtest.Size / ringtest.Length
	for i := range uint32(n - 1) {
		g.Write(0, uint64(i+2), i+2)
		if v, lost := poll(t, rd); len(v) != 1 || lost != 0 {
			t.Fatalf("%d records, %d lost", len(v), lost)
		}
	}
	g.Reserve(0, ringtest.Size%ringtest.Length) // what is left, as a longer record would
	g.Number(0)
	for i := range uint32(3) {
		g.Write(0, uint64(i+100), i+100)
	}
	g.Hole = [2]uint64{ringtest.Rings + 64 + ringtest.Size, ringtest.Rings + ringtest.Ring}
	if err := rd.Poll(t.Context(), func(*ring.Record) error { return nil }); err != nil {
		t.Errorf("without a spill area: %v", err)
	}
	g.Hole = [2]uint64{ringtest.Rings, ringtest.Rings + 2*ringtest.Ring}
	if err := rd.Poll(t.Context(), func(*ring.Record) error { return nil }); err == nil {
		t.Error("no ring could be read, and that is no error")
	}
}

// A guest that was reset begins again.
func TestReset(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	for i := range uint32(30) {
		g.Write(0, uint64(i), i)
	}
	poll(t, rd)
	copy(g.Mem, ringtest.NewGuest().Mem)
	g.Write(0, 7, 77)
	if v, _ := poll(t, rd); !slices.Equal(v, []uint64{77}) {
		t.Errorf("%v after a reset", v)
	}
}

func TestPointsAndState(t *testing.T) {
	g := ringtest.NewGuest()
	rings, err := ring.Open(t.Context(), g, ringtest.Image{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rings.Points(t.Context())
	if err != nil || len(p) != 1 || p[0] != (ring.Point{Addr: ringtest.Points, Cookie: ringtest.Cookie, Enabled: true}) {
		t.Errorf("%+v, %v", p, err)
	}
	g.Write(1, 1, 1)
	if s, err := rings.State(t.Context()); err != nil || !s.On || !slices.Equal(s.Written, []uint64{0, 1}) {
		t.Errorf("%+v, %v", s, err)
	}
	g.Mem[ringtest.Points] = 0
	if _, err := rings.Points(t.Context()); !errors.Is(err, ring.ErrUntrusted) {
		t.Errorf("a switch without its magic: %v", err)
	}
}

// Whatever the rings hold, reading them ends, panics never, and accounts for all.
func FuzzReader(f *testing.F) {
	g := ringtest.NewGuest()
	for i := range uint32(200) {
		g.Write(int(i&1), uint64(i), i)
	}
	f.Add(g.Mem[ringtest.Rings:], uint16(0), uint16(9))
	f.Add([]byte{8, 0, 0, 0, 0, 0, 0, 0, 255}, uint16(70), uint16(3))
	f.Fuzz(func(t *testing.T, rings []byte, at, step uint16) {
		g := ringtest.NewGuest()
		copy(g.Mem[ringtest.Rings:], rings[:min(len(rings), 2*ringtest.Ring)])
		rd := reader(t, g, ring.Options{Patience: -1})
		n := uint64(0)
		for range 3 {
			if err := rd.Poll(t.Context(), func(r *ring.Record) error { n++; return nil }); err != nil && !errors.Is(err, ring.ErrUntrusted) {
				t.Fatal(err)
			}
			g.Mem[ringtest.Rings+int(at)%(2*ringtest.Ring)] += byte(step)
			g.Write(0, uint64(at), uint32(step))
		}
		if st := rd.Stats(); st.Read < n || n > 3*2*(ringtest.Size+ringtest.Most)/48 {
			t.Errorf("%d records, %+v", n, st)
		}
	})
}

// Where one ring cannot be read, what was read of the others is handed out, and no
// record is lost or comes twice.
func TestOneRingUnreadable(t *testing.T) {
	g := ringtest.NewGuest()
	rd := reader(t, g, ring.Options{})
	for i := range uint32(20) {
		g.Write(int(i)&1, uint64(i), i)
	}
	second := uint64(ringtest.Rings + ringtest.Ring + 64)
	g.Hole = [2]uint64{second, second + ringtest.Size}
	var got []uint64
	err := rd.Poll(t.Context(), func(r *ring.Record) error {
		got = append(got, r.Uint(0))
		return nil
	})
	if err == nil || len(got) != 10 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	g.Hole = [2]uint64{}
	more, lost := poll(t, rd)
	if got = append(got, more...); len(got) != 20 || lost != 0 {
		t.Errorf("%v, %d lost", got, lost)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 20 {
		t.Errorf("twice: %v", got)
	}
}
