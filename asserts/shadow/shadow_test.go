package shadow

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target"
)

// ram is memory from base on.
type ram struct {
	base uint64
	data []byte
}

func (r ram) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	off := addr - r.base
	if off >= uint64(len(r.data)) {
		return 0, &target.FaultError{Addr: addr}
	}
	n := copy(p, r.data[off:])
	if n < len(p) {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

const first = 0x10000

// heap is the shadow of 1 KiB at 0x10000: an object of 61 bytes at +0x20, freed
// memory from +0x200 on.
func heap() (Map, ram) {
	m := Map{Flavour: Mimiker, Offset: 0x8000 - first>>3, First: first, Last: first + 1023}
	s := bytes.Repeat([]byte{0xfe}, 128)
	copy(s[4:], []byte{0, 0, 0, 0, 0, 0, 0, 5})
	copy(s[64:], bytes.Repeat([]byte{0xff}, 64))
	return m, ram{0x8000, s}
}

func TestCheck(t *testing.T) {
	m, mem := heap()
	for name, tt := range map[string]struct {
		addr, size uint64
		ok         bool
		bad        uint64
		sub        string
	}{
		"inside":                    {first + 0x20, 8, true, 0, ""},
		"the last good bytes":       {first + 0x59, 4, true, 0, ""},
		"one byte behind":           {first + 0x5d, 1, false, first + 0x5d, heapOverflow},
		"begins inside":             {first + 0x5a, 8, false, first + 0x5d, heapOverflow},
		"before":                    {first + 0x1f, 1, false, first + 0x1f, heapOverflow},
		"freed":                     {first + 0x240, 4, false, first + 0x240, useAfterFree},
		"across a granule":          {first + 0x3e, 4, true, 0, ""},
		"not watched":               {first - 8, 8, true, 0, ""},
		"of no bytes":               {first, 0, true, 0, ""},
		"wraps":                     {first, 1 << 63, true, 0, ""},
		"unaligned into the object": {first + 0x1c, 8, false, first + 0x1c, heapOverflow},
	} {
		f, ok, err := m.Check(context.Background(), mem, tt.addr, tt.size)
		if err != nil || ok != tt.ok || f.Addr != tt.bad || f.Sub != tt.sub {
			t.Errorf("%s: %+v, %v, %v; want %v at %#x (%s)", name, f, ok, err, tt.ok, tt.bad, tt.sub)
		}
	}
	if _, _, err := m.Check(context.Background(), ram{}, first, 1); err == nil {
		t.Error("a shadow that cannot be read allows the access")
	}
}

func TestRuns(t *testing.T) {
	m, mem := heap()
	ctx := context.Background()
	if r, before, ok := m.Good(ctx, mem, first+0x5d, 256); !ok || !before || r != (Run{first + 0x20, 61}) {
		t.Errorf("behind the object: %+v %v %v", r, before, ok)
	}
	if r, before, ok := m.Good(ctx, mem, first+0x60, 256); !ok || !before || r != (Run{first + 0x20, 61}) {
		t.Errorf("in the next granule: %+v %v %v", r, before, ok)
	}
	if r, before, ok := m.Good(ctx, mem, first+0x10, 256); !ok || before || r != (Run{first + 0x20, 61}) {
		t.Errorf("before the object: %+v %v %v", r, before, ok)
	}
	if r, _, ok := m.Good(ctx, mem, first+0x300, 64); ok {
		t.Errorf("far from any object: %+v", r)
	}
	if r, ok := m.Same(ctx, mem, first+0x245); !ok || r != (Run{first + 0x200, 0x200}) {
		t.Errorf("freed memory: %+v %v", r, ok)
	}
}

func TestDraw(t *testing.T) {
	m, mem := heap()
	d, err := m.Around(context.Background(), mem, first+0x5d)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := d.Write(&out, ""); err != nil {
		t.Fatal(err)
	}
	const want = "=>0x000000010000: fe fe fe fe 00 00 00 00 00 00 00[05]fe fe fe fe\n" +
		"  0x000000010080: fe fe fe fe fe fe fe fe fe fe fe fe fe fe fe fe\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
	if !strings.Contains(out.String(), "Freed heap region:                     ff\n") {
		t.Errorf("no legend in\n%s", out.String())
	}
	if d, err = m.Around(context.Background(), mem, first+0x78); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := d.Write(&out, ""); err != nil || !strings.Contains(out.String(), "fe fe[fe]\n") {
		t.Errorf("the last byte of a line: %v\n%s", err, out.String())
	}
	if _, err := m.Around(context.Background(), mem, first-1); err == nil {
		t.Error("drawn around what is not watched")
	}
}

// TestLayouts: where real runtimes keep the shadow of an address (Linux 6.1 and
// clang 14 report these pairs).
func TestLayouts(t *testing.T) {
	for _, tt := range []struct {
		m            Map
		addr, shadow uint64
	}{
		{Map{Offset: 0xdffffc0000000000, First: 1 << 63, Last: 1<<64 - 1}, 0xffff888000000000, 0xffffed1000000000},
		{Map{Offset: 0x7fff8000, Last: 1<<47 - 1}, 0x602000000010, 0x0c047fff8002},
	} {
		if got := tt.m.Of(tt.addr); got != tt.shadow {
			t.Errorf("the shadow of %#x is at %#x, want %#x", tt.addr, got, tt.shadow)
		}
	}
}

// TestFlavours: the same byte means different things.
func TestFlavours(t *testing.T) {
	for _, tt := range []struct {
		f   *Flavour
		b   byte
		sub string
	}{
		{Mimiker, 0xfa, globalOverflow}, {User, 0xfa, heapOverflow}, {Linux, 0xfa, useAfterFree},
		{Mimiker, 0xfd, useAfterFree}, {Mimiker, 0xff, useAfterFree}, {Linux, 0xff, useAfterFree},
		{User, 0xf8, afterScope}, {Linux, 0xf8, outOfBounds}, {User, 0xf5, afterReturn}, {Mimiker, 3, outOfBounds}, {User, 0, ""}, {User, 0x99, ""},
	} {
		if _, sub := tt.f.Describe(tt.b); sub != tt.sub {
			t.Errorf("%s: %#x is %q, want %q", tt.f.Name, tt.b, sub, tt.sub)
		}
	}
}

// stack is a sanitized frame at 0x20000 with its description behind it.
func stack(text string) ram {
	b := make([]byte, 512)
	binary.LittleEndian.PutUint64(b, frameMagic)
	binary.LittleEndian.PutUint64(b[8:], 0x20000+256)
	binary.LittleEndian.PutUint64(b[16:], 0x401000)
	copy(b[256:], text)
	return ram{0x20000, b}
}

func TestFrame(t *testing.T) {
	mem := stack("2 32 13 3 b:1 64 8 5 count\x00")
	f, err := FindFrame(context.Background(), mem, 0x20000+77)
	if err != nil {
		t.Fatal(err)
	}
	if f.Base != 0x20000 || f.PC != 0x401000 || len(f.Variables) != 2 || f.Variables[0] != (Variable{"b", 32, 13, 1}) || f.Variables[1] != (Variable{"count", 64, 8, 0}) {
		t.Errorf("%+v", f)
	}
	for addr, want := range map[uint64]struct {
		name string
		d    int64
	}{0x20000 + 40: {"b", 0}, 0x20000 + 45: {"b", 1}, 0x20000 + 63: {"count", -1}, 0x20000 + 72: {"count", 1}} {
		if v, d, ok := f.Near(addr); !ok || v.Name != want.name || d != want.d {
			t.Errorf("%#x: %s at %d, want %s at %d", addr, v.Name, d, want.name, want.d)
		}
	}
	for addr, want := range map[uint64]string{
		0x20000 + 45: "right behind the end of b (13 bytes, line 1)", 0x20000 + 48: "3 bytes behind the end of b (13 bytes, line 1)",
		0x20000 + 63: "1 bytes before count (8 bytes)", 0x20000 + 66: "in count (8 bytes)",
	} {
		if got := f.Text(addr); got != want {
			t.Errorf("%#x: %q, want %q", addr, got, want)
		}
	}
	if _, err := FindFrame(context.Background(), ram{0x20000, make([]byte, 512)}, 0x20100); err == nil {
		t.Error("a frame where none is")
	}
	if _, err := FindFrame(context.Background(), ram{0, make([]byte, 128<<10)}, 100<<10); !errors.Is(err, ErrNoFrame) {
		t.Errorf("no frame within reach: %v", err)
	}
}

// FuzzFrame: a description is text of the guest.
func FuzzFrame(f *testing.F) {
	f.Add("1 32 13 3 b:1")
	f.Add("2 32 8 1 a 64 8 1 b")
	f.Add("99999999999 1 2 3 x")
	f.Add("1 1 1 4000000000 x")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 {
			return
		}
		fr, err := FindFrame(context.Background(), stack(text), 0x20000)
		if err != nil {
			return
		}
		if len(fr.Variables) > maxVariables {
			t.Fatalf("%d variables", len(fr.Variables))
		}
		fr.Near(0x20020)
	})
}
