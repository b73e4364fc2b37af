package linux_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel/linux"
	"github.com/ukdbg/ukdbg/target"
)

const (
	base   = 0xffff_ffff_8100_0000
	banner = "Linux version 6.1.0-56-amd64 (who@where) (gcc) #1 SMP\n\x00"
)

// rodata is what the image has from the banner on.
var rodata = banner + strings.Repeat("more", 200)

// vmlinux is an image with a banner.
type vmlinux map[string]uint64

func (v vmlinux) Symbol(name string) (uint64, bool) { a, ok := v[name]; return a, ok }

func (v vmlinux) Data(addr uint64, n int) ([]byte, bool) {
	if addr != v["linux_banner"] || n > len(rodata) {
		return nil, false
	}
	return []byte(rodata[:n]), true
}

func image() vmlinux {
	return vmlinux{"linux_banner": base + 0x100_0000, "init_task": base + 0x180_0000, "_stext": base, "_etext": base + 0xe0_0000}
}

// guest is memory that holds the banner at one address, and counts its readings.
type guest struct {
	at    uint64
	reads int
}

func (g *guest) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	g.reads++
	if addr != g.at {
		return 0, &target.FaultError{Addr: addr}
	}
	return copy(p, banner), nil
}

func TestFind(t *testing.T) {
	if !linux.Detect(image()) || linux.Release(linux.Banner(image())) != "6.1.0-56-amd64" {
		t.Fatalf("banner %q", linux.Banner(image()))
	}
	const slide = 0x1b40_0000
	for _, tt := range []struct {
		name        string
		slide       uint64
		slides, pcs []uint64
		most        int // readings
	}{
		{"where it was linked", 0, nil, nil, 1},
		{"as VMCOREINFO says", slide, []uint64{slide}, nil, 1},
		{"by the pc of an idle processor", slide, nil, []uint64{base + slide + 0xa5_92eb}, 10},
		{"by nothing", slide, nil, []uint64{0x40_1000}, 600},
	} {
		g := &guest{at: base + 0x100_0000 + tt.slide}
		got, err := linux.Find(t.Context(), g, image(), tt.slides, tt.pcs)
		if err != nil || got != tt.slide || g.reads > tt.most {
			t.Errorf("%s: %#x after %d readings, error %v", tt.name, got, g.reads, err)
		}
	}
	if _, err := linux.Find(t.Context(), &guest{at: 1}, image(), nil, []uint64{0, ^uint64(0)}); !errors.Is(err, linux.ErrNotFound) {
		t.Errorf("another kernel: %v", err)
	}
}

func TestDetectOthers(t *testing.T) {
	for name, img := range map[string]vmlinux{"no symbols": {}, "no task": {"linux_banner": 1}, "banner outside": {"linux_banner": 0, "init_task": 8}} {
		if name == "banner outside" {
			img["linux_banner"] = 77
			if linux.Detect(other{img}) {
				t.Error(name)
			}
		} else if linux.Detect(img) {
			t.Error(name)
		}
	}
}

// other is an image whose banner is something else.
type other struct{ vmlinux }

func (other) Data(uint64, int) ([]byte, bool) { return make([]byte, 512), true }
