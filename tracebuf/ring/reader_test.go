package ring_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf/ring"
)

func TestRefusesWhatItCannotTrust(t *testing.T) {
	for name, damage := range map[string]func(b []byte){
		"magic":    func(b []byte) { b[0]++ },
		"version":  func(b []byte) { b[8] = 2 },
		"checksum": func(b []byte) { b[40]++ },
		"size":     func(b []byte) { b[28]++ },
		"cpus":     func(b []byte) { b[36] = 3 },
		"rings":    func(b []byte) { b[56] += 8 },
		"points":   func(b []byte) { b[72]++ },
		"backward": func(b []byte) { binary.LittleEndian.PutUint64(b[72:], fakePoints-16) },
	} {
		g := newFakeGuest()
		damage(g.b[fakeHeader:])
		if _, err := ring.Open(t.Context(), g, fakeImage{}, 0); !errors.Is(err, ring.ErrUntrusted) {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
	if _, err := ring.Open(t.Context(), newFakeGuest(), fakeImage{}, 16); err == nil {
		t.Error("a wrong slide was accepted")
	}
}

// Records come in order of time over all CPUs, each once, and laps around the
// ring lose none that are fetched in time.
func TestPolls(t *testing.T) {
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{})
	var want, got []uint64
	for i := range uint32(1000) {
		g.write(int(i%3)&1, uint64(i), i)
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
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{})
	g.write(0, 0, 0)
	poll(t, rd)
	for i := range uint32(500) {
		g.write(0, uint64(i+1), i+1)
	}
	v, lost := poll(t, rd)
	if uint64(len(v))+lost != 500 || lost == 0 || v[len(v)-1] != 500 || v[0] != lost+1 {
		t.Errorf("%d records from %d, %d lost", len(v), v[0], lost)
	}
	// A reader that comes late says what was before it, which is not lost.
	late := g.reader(t, ring.Options{})
	v, lost = poll(t, late)
	if st := late.Stats(); lost != 0 || st.Before+st.Read != 501 || uint64(len(v)) != st.Read || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
	// One that wants only what is new gets that.
	fresh := g.reader(t, ring.Options{New: true})
	if v, _ = poll(t, fresh); len(v) != 0 {
		t.Errorf("%d old records", len(v))
	}
	g.write(0, 600, 600)
	if v, _ = poll(t, fresh); !slices.Equal(v, []uint64{600}) {
		t.Errorf("%d, want the new one", v)
	}
}

// What is overwritten while it is read is not believed.
func TestOverwrittenMeanwhile(t *testing.T) {
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{})
	for i := range uint32(50) {
		g.write(0, uint64(i), i)
	}
	reads, next := 0, uint32(50)
	g.onRead = func() {
		// The fifth read is that of the first ring's bytes, the sixth its head.
		if reads++; reads == 5 {
			for range 60 {
				g.write(0, uint64(next), next)
				next++
			}
		}
	}
	v, _ := poll(t, rd)
	g.onRead = nil
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
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{Patience: short})
	g.write(0, 1, 1)
	slow := g.reserve(0, fakeLength)
	slowSeq := g.number(0)
	g.write(0, 3, 3)
	if v, _ := poll(t, rd); !slices.Equal(v, []uint64{1}) {
		t.Errorf("%v before the unfinished record", v)
	}
	g.fill(0, slow, slowSeq, 2, 2)
	if v, lost := poll(t, rd); !slices.Equal(v, []uint64{2, 3}) || lost != 0 {
		t.Errorf("%v, %d lost, once it is finished", v, lost)
	}
	g.reserve(0, fakeLength)
	g.number(0)
	g.write(0, 5, 5)
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
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{})
	for i := range uint64(40) {
		a, b := g.reserve(0, fakeLength), g.reserve(0, fakeLength)
		nb, na := g.number(0), g.number(0)
		g.fill(0, b, nb, 2*i+1, uint32(2*i+1))
		g.fill(0, a, na, 2*i, uint32(2*i))
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

// A CPU that never recorded has a ring in no memory, and the spill area may be
// in none: both are no failure, and the first is told.
func TestMemoryNotGivenOut(t *testing.T) {
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{})
	rings, err := ring.Open(t.Context(), g, fakeImage{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.hole = [2]uint64{fakeRings + fakeRing, fakeRings + 2*fakeRing}
	g.write(0, 1, 1)
	if v, _ := poll(t, rd); !slices.Equal(v, []uint64{1}) || rd.Stats().Unreadable != 1 {
		t.Errorf("%v, %+v", v, rd.Stats())
	}
	if s, err := rings.State(t.Context()); err != nil || s.Unreadable != 1 || !slices.Equal(s.Written, []uint64{1, 0}) {
		t.Errorf("%+v, %v", s, err)
	}
	// Up to where the ring's end is near, and over it.
	const n = fakeSize / fakeLength
	for i := range uint32(n - 1) {
		g.write(0, uint64(i+2), i+2)
		if v, lost := poll(t, rd); len(v) != 1 || lost != 0 {
			t.Fatalf("%d records, %d lost", len(v), lost)
		}
	}
	g.reserve(0, fakeSize%fakeLength) // what is left, as a longer record would
	g.number(0)
	for i := range uint32(3) {
		g.write(0, uint64(i+100), i+100)
	}
	g.hole = [2]uint64{fakeRings + 64 + fakeSize, fakeRings + fakeRing}
	if err := rd.Poll(t.Context(), func(*ring.Record) error { return nil }); err != nil {
		t.Errorf("without a spill area: %v", err)
	}
	g.hole = [2]uint64{fakeRings, fakeRings + 2*fakeRing}
	if err := rd.Poll(t.Context(), func(*ring.Record) error { return nil }); err == nil {
		t.Error("no ring could be read, and that is no error")
	}
}

// A guest that was reset begins again.
func TestReset(t *testing.T) {
	g := newFakeGuest()
	rd := g.reader(t, ring.Options{})
	for i := range uint32(30) {
		g.write(0, uint64(i), i)
	}
	poll(t, rd)
	copy(g.b, newFakeGuest().b)
	g.write(0, 7, 77)
	if v, _ := poll(t, rd); !slices.Equal(v, []uint64{77}) {
		t.Errorf("%v after a reset", v)
	}
}

func TestPointsAndState(t *testing.T) {
	g := newFakeGuest()
	rings, err := ring.Open(t.Context(), g, fakeImage{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rings.Points(t.Context())
	if err != nil || len(p) != 1 || p[0] != (ring.Point{Addr: fakePoints, Cookie: fakeCookie, Enabled: true}) {
		t.Errorf("%+v, %v", p, err)
	}
	g.write(1, 1, 1)
	if s, err := rings.State(t.Context()); err != nil || !s.On || !slices.Equal(s.Written, []uint64{0, 1}) {
		t.Errorf("%+v, %v", s, err)
	}
	g.b[fakePoints] = 0
	if _, err := rings.Points(t.Context()); !errors.Is(err, ring.ErrUntrusted) {
		t.Errorf("a switch without its magic: %v", err)
	}
}

// Whatever the rings hold, reading them ends, panics never, and accounts for all.
func FuzzReader(f *testing.F) {
	g := newFakeGuest()
	for i := range uint32(200) {
		g.write(int(i&1), uint64(i), i)
	}
	f.Add(g.b[fakeRings:], uint16(0), uint16(9))
	f.Add([]byte{8, 0, 0, 0, 0, 0, 0, 0, 255}, uint16(70), uint16(3))
	f.Fuzz(func(t *testing.T, rings []byte, at, step uint16) {
		g := newFakeGuest()
		copy(g.b[fakeRings:], rings[:min(len(rings), 2*fakeRing)])
		rd := g.reader(t, ring.Options{Patience: -1})
		n := uint64(0)
		for range 3 {
			if err := rd.Poll(t.Context(), func(r *ring.Record) error { n++; return nil }); err != nil && !errors.Is(err, ring.ErrUntrusted) {
				t.Fatal(err)
			}
			g.b[fakeRings+int(at)%(2*fakeRing)] += byte(step)
			g.write(0, uint64(at), uint32(step))
		}
		if st := rd.Stats(); st.Read < n || n > 3*2*(fakeSize+fakeMost)/48 {
			t.Errorf("%d records, %+v", n, st)
		}
	})
}
