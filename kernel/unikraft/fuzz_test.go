package unikraft

import (
	"context"
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

// scribble overwrites words of a guest: each 4 bytes of data give an offset into
// the structures and what the low half of the word there becomes.
func scribble(g *guest, bases []uint64, data []byte) {
	for ; len(data) >= 4; data = data[4:] {
		base := bases[int(data[0])%len(bases)]
		at := base + uint64(data[1])*8
		if data[2] == 0xff {
			g.drop(at, 8)
			continue
		}
		// Mostly addresses of other structures: those make circles.
		g.u64(at, bases[int(data[2])%len(bases)]+uint64(data[3]))
	}
}

func FuzzThreads(f *testing.F) {
	f.Add(true, []byte{})
	f.Add(false, []byte{2, 4, 2, 0, 3, 6, 1, 0, 0, 2, 0xff, 0})
	f.Fuzz(func(t *testing.T, x86 bool, data []byte) {
		if len(data) > 4096 {
			return
		}
		a := arch.ARM64
		if x86 {
			a = arch.X86_64
		}
		img := newImage(a)
		img.waits = []WaitObject{{Name: "m", Kind: "mutex", Addr: 0x5000, Queue: 0x5010, Owner: 0x5008}}
		g := build(img, typical, 0)
		g.zero(0x5000, 0x40)
		lcpus(g, a, 0, 1)
		bases := []uint64{0x1000, schedAddr, 0x5000, lcpuBase}
		for i := range typical {
			bases = append(bases, threadAddr(i), stackOf(i)+0x3800)
		}
		scribble(g, bases, data)
		k := open(t, img, g)
		l, err := k.Threads(context.Background())
		if err != nil {
			return
		}
		for _, th := range l.Threads {
			if th.ID < 1 || th.RegsErr == nil && th.Regs.Arch == nil {
				t.Fatalf("%+v", th)
			}
		}
		if _, err := k.Uptime(context.Background()); err == nil && len(l.Threads) == 0 {
			t.Fatal("a clock but no thread")
		}
	})
}

func FuzzHeap(f *testing.F) {
	f.Add(uint64(5), []byte{})
	f.Add(^uint64(0)>>2, []byte{1, 1, 1, 0, 4, 0, 0xff, 0})
	f.Fuzz(func(t *testing.T, used uint64, data []byte) {
		if len(data) > 4096 {
			return
		}
		var pagesUsed []uint64
		for i := range uint64(64) {
			if used>>i&1 != 0 {
				pagesUsed = append(pagesUsed, i)
			}
		}
		g := buddyGuest(pagesUsed...)
		scribble(g, []uint64{0x1000, allocAddr, regionAddr, firstPage, firstPage + 0x1000, buddyAddr}, data)
		h, err := open(t, newImage(arch.X86_64), g).Heap(context.Background())
		if err != nil {
			return
		}
		for _, a := range h.Allocators {
			if a.Known && a.Used+a.Free != a.Total {
				t.Fatalf("%+v", a)
			}
			if len(data) == 0 && (a.Used != uint64(len(pagesUsed))<<12 || len(a.Corrupt) > 0) {
				t.Fatalf("%d pages used: %+v", len(pagesUsed), a)
			}
		}
	})
}

func FuzzLog(f *testing.F) {
	f.Add([]byte("\x10\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00abcdefgh"))
	f.Fuzz(func(t *testing.T, ring []byte) {
		g := newGuest()
		g.u64(0x1048, 0x7000)
		g.put(0x7000, ring...)
		text, err := open(t, newImage(arch.X86_64), g).Log(context.Background())
		if err == nil && len(text) > len(ring) {
			t.Fatalf("%d bytes of text from a ring of %d", len(text), len(ring))
		}
	})
}
