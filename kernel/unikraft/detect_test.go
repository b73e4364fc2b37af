package unikraft

import (
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Everything moves by the slide.
func TestSlide(t *testing.T) {
	img := newImage(arch.X86_64)
	img.waits = []WaitObject{{Name: "lock", Kind: "mutex", Addr: 0x5000, Queue: 0x5010, Owner: 0x5008}}
	g := build(img, typical, 0)
	g.zero(0x5000, 0x40)
	const slide = 0x200000
	moved := newGuest()
	moved.slide = slide
	for a, b := range g.bytes {
		if a < 0x8000 {
			moved.bytes[a+slide] = b // the image
		} else {
			moved.bytes[a] = b // the heap
		}
	}
	r := g.regs[0]
	r.Set(arch.X86RIP, 0x310+slide)
	moved.regs = append(moved.regs, r)
	for i := range typical {
		moved.u64(threadAddr(i)+16, le64(g.eight(threadAddr(i)+16))+slide)
	}
	moved.u64(schedAddr, 0x340+slide)
	moved.u64(schedAddr+80+16, 0x230+slide)
	k := open(t, img, moved)
	l := list(t, k)
	if len(l.Threads) != 8 || len(l.Notes) != 0 || byName(t, l, "blocked").State != kernel.Waiting || !byName(t, l, "blocked").Returning {
		t.Fatalf("%+v %q", l.Threads, l.Notes)
	}
	if loc, err := k.TraceBuffer(); err != nil || loc.Buffer != 0x1100+slide || loc.Size != 64 || loc.Writep != 0x1050+slide {
		t.Errorf("%+v %v", loc, err)
	}
}

func (g *guest) eight(addr uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = g.bytes[addr+uint64(i)]
	}
	return b
}

func TestDetect(t *testing.T) {
	img := newImage(arch.X86_64)
	if !Detect(img) {
		t.Error("not recognised")
	}
	if v := open(t, img, newGuest()).Version(); v != "0.17.0~abc Calypso" {
		t.Errorf("version %q", v)
	}
	img.rodata = "   Helene 0.18.0~beef\n\x00"
	if v := open(t, img, newGuest()).Version(); v != "0.18.0~beef Helene" {
		t.Errorf("version %q", v)
	}
	img.macros = map[string]string{"UK_FULLVERSION": "0.19.1", "UK_CODENAME": "Pan"}
	if v := open(t, img, newGuest()).Version(); v != "0.19.1 Pan" {
		t.Errorf("version %q", v)
	}
	img.macros, img.rodata = nil, "Unikraft"
	if v := open(t, img, newGuest()).Version(); v != "" {
		t.Errorf("version %q", v)
	}
	img.symbols = map[string][2]uint64{"main": {1, 2}}
	if Detect(img) {
		t.Error("any image is a Unikraft")
	}
	if _, err := New(Config{Image: img}); err == nil {
		t.Error("New accepts any image")
	}
}
