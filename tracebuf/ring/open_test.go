package ring_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/ring/ringtest"
)

// damagedImage is an image of which some answers are wrong: each takes the next two
// bytes of damage, a byte and where in the number it is put.
type damagedImage struct {
	ringtest.Image
	damage *[]byte
}

func (d damagedImage) wrong(v uint64) uint64 {
	b := *d.damage
	if len(b) < 2 {
		return v
	}
	*d.damage = b[2:]
	return v ^ uint64(b[0])<<(b[1]%64)
}

func (d damagedImage) SymbolByName(name string) (addr, size uint64, ok bool) {
	addr, size, ok = d.Image.SymbolByName(name)
	return addr, d.wrong(size), ok
}

func (d damagedImage) SizeOf(name string) (uint64, error) {
	n, err := d.Image.SizeOf(name)
	return d.wrong(n), err
}

func (d damagedImage) Field(structure, path string) (off, size uint64, err error) {
	off, size, err = d.Image.Field(structure, path)
	return d.wrong(off), d.wrong(size), err
}

// FuzzOpen: what a header, the switches and the image's layout say is believed within
// bounds only. changes are bytes of the header and of the switch, each put at its place
// (two bytes and what is added); with fit the checksum is made right again.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, []byte{}, true)
	f.Add([]byte{36, 0, 255, 73, 0, 1}, []byte{}, true)                 // more CPUs, more points
	f.Add([]byte{28, 0, 1, 32, 0, 1}, []byte{}, true)                   // sizes
	f.Add([]byte{64, 0, 1, 75, 0, 1}, []byte{}, true)                   // points elsewhere
	f.Add([]byte{0, 1, 1}, []byte{}, false)                             // a switch without its magic
	f.Add([]byte{24, 0, 8}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, true) // a ring of another size
	f.Fuzz(func(t *testing.T, changes, damage []byte, fit bool) {
		if len(changes) > 300 || len(damage) > 300 {
			return
		}
		g := ringtest.NewGuest()
		h := g.Mem[ringtest.Header:]
		for ; len(changes) >= 3; changes = changes[3:] {
			h[int(binary.LittleEndian.Uint16(changes))%(ringtest.Points+16-ringtest.Header)] += changes[2]
		}
		if fit {
			sum := uint32(2166136261)
			for i := range 8 {
				sum = (sum ^ binary.LittleEndian.Uint32(h[8+4*i:])) * 16777619
			}
			binary.LittleEndian.PutUint32(h[40:], sum)
		}
		told := func(err error) bool {
			var fault *target.FaultError
			return errors.Is(err, ring.ErrUntrusted) || errors.As(err, &fault)
		}
		whole := len(damage) == 0
		rings, err := ring.Open(t.Context(), g, damagedImage{damage: &damage}, 0)
		if err != nil {
			if !told(err) {
				t.Fatalf("%v", err)
			}
			return
		}
		if rings.CPUs < 1 || rings.CPUs > 1024 || rings.Size < 4*rings.MaxRecord || rings.Size&(rings.Size-1) != 0 ||
			whole && (rings.CPUs != 2 || rings.Size != ringtest.Size || rings.MaxRecord != ringtest.Most) {
			t.Fatalf("%+v", rings)
		}
		if p, err := rings.Points(t.Context()); err != nil && !told(err) || len(p) > 1<<16 {
			t.Errorf("%d points, %v", len(p), err)
		}
		if s, err := rings.State(t.Context()); err != nil && !told(err) || err == nil && len(s.Written) != rings.CPUs {
			t.Errorf("%+v, %v", s, err)
		}
		n := 0
		rd := rings.NewReader(ringtest.Definitions(t), 0, ring.Options{Patience: -1})
		if err := rd.Poll(t.Context(), func(*ring.Record) error { n++; return nil }); err != nil && !told(err) || uint64(n) != rd.Stats().Read {
			t.Errorf("%d records, %+v, %v", n, rd.Stats(), err)
		}
	})
}
