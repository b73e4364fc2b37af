package symbolizer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

// loaded is a guest's memory with an image at a slide.
type loaded struct {
	im    *symbolizer.Image
	slide uint64
	patch map[uint64]byte
	reads int
}

func (l *loaded) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	l.reads++
	for i := range p {
		a := addr + uint64(i)
		b, ok := l.im.Data(a-l.slide, 1)
		if !ok {
			return i, &target.FaultError{Addr: a}
		}
		p[i] = b[0]
		if v, ok := l.patch[a]; ok {
			p[i] = v
		}
	}
	return len(p), nil
}

// lost is a target whose link is gone.
type lost struct{}

func (lost) ReadMemory(context.Context, []byte, uint64) (int, error) { return 0, target.ErrLost }

func TestProve(t *testing.T) {
	ctx := context.Background()
	im, err := symbolizer.Open(build{"", "gcc", "-O2 -g"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	fn, _ := im.SymbolByName("serve")
	at := fn.Addr + fn.Size/2
	m := symbolizer.Mapping{Image: im}
	for _, full := range []bool{false, true} {
		mem := &loaded{im: im}
		id, err := symbolizer.Prove(ctx, mem, m, symbolizer.ProveOptions{Full: full})
		if err != nil || !id.Match || id.Compared < 256 {
			t.Errorf("same image, full %v: %+v %v", full, id, err)
		}
	}
	b, _ := im.Data(at, 1)
	mem := &loaded{im: im, patch: map[uint64]byte{at: b[0] ^ 0xff}}
	id, err := symbolizer.Prove(ctx, mem, m, symbolizer.ProveOptions{Around: []uint64{at}})
	if err != nil || id.Match || id.Mismatch != at || id.Image != b[0] || id.Guest != b[0]^0xff {
		t.Errorf("one byte differs: %+v %v", id, err)
	}
	mask := []symbolizer.Range{{Start: at, End: at + 1}}
	if id, err = symbolizer.Prove(ctx, mem, m, symbolizer.ProveOptions{Full: true, Mask: mask}); err != nil || !id.Match {
		t.Errorf("masked: %+v %v", id, err)
	}
	if id, err = symbolizer.Prove(ctx, &loaded{im: im, slide: 0x100000}, m, symbolizer.ProveOptions{}); err != nil || id.Match {
		t.Errorf("nothing readable: %+v %v", id, err)
	}
	if _, err = symbolizer.Prove(ctx, lost{}, m, symbolizer.ProveOptions{}); !errors.Is(err, target.ErrLost) {
		t.Errorf("lost link: %v", err)
	}
	other, err := symbolizer.Open(build{"", "gcc", "-Os -g"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	if id, err = symbolizer.Prove(ctx, &loaded{im: other}, m, symbolizer.ProveOptions{}); err != nil || id.Match || id.Differs == 0 {
		t.Errorf("another image: %+v %v", id, err)
	}
}

func TestFindSlide(t *testing.T) {
	ctx := context.Background()
	im, err := symbolizer.Open(build{"", "gcc", "-O2 -g -fpie -static-pie"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	fn, _ := im.SymbolByName("parse")
	for _, tc := range []struct {
		slide uint64
		hint  bool
	}{{0, false}, {0x200000, false}, {0x7f0012345000, true}, {0xffffffff80000000, true}} {
		mem := &loaded{im: im, slide: tc.slide}
		var hints []uint64
		if tc.hint {
			hints = []uint64{0x1000, fn.Addr + tc.slide + 20}
		}
		got, err := symbolizer.FindSlide(ctx, mem, im, hints...)
		if err != nil || got != tc.slide {
			t.Errorf("slide %#x: found %#x, %v", tc.slide, got, err)
		}
		if mem.reads > 400 {
			t.Errorf("slide %#x: %d reads", tc.slide, mem.reads)
		}
	}
	if _, err := symbolizer.FindSlide(ctx, &loaded{im: im, slide: 0x123456789000}, im); !errors.Is(err, symbolizer.ErrNoSlide) {
		t.Errorf("no hint: %v", err)
	}
	if _, err := symbolizer.FindSlide(ctx, lost{}, im); !errors.Is(err, target.ErrLost) {
		t.Errorf("lost link: %v", err)
	}
}
