package ukdbg

import (
	"math/rand/v2"
	"testing"

	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/ring/ringtest"
)

// ringImage is an image of which only the rings are asked.
type ringImage struct {
	unikraft.Image
	ring ringtest.Image
}

func (r ringImage) SymbolByName(name string) (addr, size uint64, ok bool) {
	return r.ring.SymbolByName(name)
}
func (r ringImage) SizeOf(name string) (uint64, error) { return r.ring.SizeOf(name) }
func (r ringImage) Field(structure, path string) (off, size uint64, err error) {
	return r.ring.Field(structure, path)
}

// A session remembers what it read of a running guest. Of rings that would hide
// what the guest overwrote while they were read: a record of the lap before whose
// place is taken still has its first word when all behind it is the new one's.
func TestRingsAreReadAsTheyAre(t *testing.T) {
	g := ringtest.NewGuest()
	s := &Session{view: newView(g), kernelImage: ringImage{}}
	s.mem, s.machine = s.view, newProcessors(newRunner())
	rings, err := s.rings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rd := rings.NewReader(ringtest.Definitions(t), 0, ring.Options{Patience: -1})
	// Records of consecutive laps lie on one another.
	const lap = ringtest.Size / ringtest.Length
	wrote, random := uint32(0), rand.New(rand.NewPCG(1, 2))
	begin := func() (finish func()) {
		if wrote%lap == 0 && wrote > 0 {
			g.Reserve(0, ringtest.Size%ringtest.Length)
		}
		pos, seq := g.Reserve(0, ringtest.Length), g.Number(0)
		first := g.Mem[ringtest.Rings+64+pos%ringtest.Size:][:8]
		before := [8]byte(first)
		g.Fill(0, pos, seq, uint64(wrote), wrote)
		committed := [8]byte(first)
		copy(first, before[:])
		wrote++
		return func() { copy(first, committed[:]) }
	}
	finish := func() {}
	g.OnRead = func() {
		finish()
		for range random.IntN(1 + random.IntN(60)) {
			begin()()
		}
		finish = begin()
	}
	seen, lost := map[uint64]bool{}, uint64(0)
	poll := func() {
		t.Helper()
		s.newEpoch()
		err := rd.Poll(t.Context(), func(r *ring.Record) error {
			if seen[r.Seq] || r.Uint(0) != r.Seq {
				t.Fatalf("record %d holds %d; it was met before: %t", r.Seq, r.Uint(0), seen[r.Seq])
			}
			seen[r.Seq] = true
			lost += r.Lost
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		poll()
	}
	g.OnRead = nil
	finish()
	poll()
	if st := rd.Stats(); len(seen) < 1000 || lost < 1000 || st.Before+uint64(len(seen))+lost != uint64(wrote) || st.Lost != lost {
		t.Errorf("%d read, %d told as lost of %d; %+v", len(seen), lost, wrote, st)
	}
}
