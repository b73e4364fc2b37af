//go:build linux

package guestram

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const someMaps = `558b5c9d2000-558b5ca4e000 r--p 00000000 fe:01 1310 /usr/bin/qemu-system-x86_64
7f8d00000000-7f8d04000000 rw-p 00000000 00:00 0
7f8d08000000-7f8d0c000000 rw-s 00001000 00:01 2063 /memfd:memory-backend-memfd (deleted)
Size:              65536 kB
VmFlags: rd wr sh mr mw me ms um sd
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0  [stack]
nonsense
`

func TestParseMaps(t *testing.T) {
	got, err := parseMaps(strings.NewReader(someMaps))
	want := []Mapping{
		{Start: 0x558b5c9d2000, Size: 0x7c000, Device: unix.Mkdev(0xfe, 1), Inode: 1310, Path: "/usr/bin/qemu-system-x86_64"},
		{Start: 0x7f8d00000000, Size: 64 << 20, Write: true},
		{Start: 0x7f8d08000000, Size: 64 << 20, Write: true, Shared: true, Offset: 0x1000, Device: unix.Mkdev(0, 1), Inode: 2063,
			Path: "/memfd:memory-backend-memfd (deleted)", Userfault: true},
		{Start: 0x7ffd00000000, Size: 0x21000, Write: true, Path: "[stack]"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if c := candidates(got); len(c) != 2 {
		t.Errorf("candidates %+v", c)
	}
}

const someView = `FlatView #0
 AS "gpex-root", root: bus master container
  No rendered FlatView

FlatView #1
 AS "memory", root: system
 Root memory region: system
  0000000000000000-000000000009ffff (prio 0, ram): pc.ram
  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem
  00000000000c0000-00000000000cafff (prio 0, rom): pc.ram @00000000000c0000
  0000000000100000-0000000003ffffff (prio 0, ram): pc.ram @0000000000100000 KVM
  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios

FlatView #2
 AS "cpu-smm-0", root: memory
  0000000000000000-00000000000bffff (prio 0, ram): other
`

func TestParseFlatView(t *testing.T) {
	want := []flat{
		{0, 0xa0000, 0, "pc.ram"}, {0xc0000, 0xb000, 0xc0000, "pc.ram"},
		{0x100000, 0x3f00000, 0x100000, "pc.ram"}, {0xfffc0000, 0x40000, 0, "pc.bios"},
	}
	if got := parseFlatView(someView); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if h, err := parseHost("Host virtual address for 0x0 (pc.ram) is 0x7fb7e4000000\n"); h != 0x7fb7e4000000 || err != nil {
		t.Errorf("%#x, %v", h, err)
	}
	for _, bad := range []string{"", "No memory is mapped at address 0x9000000", "Memory at address 0x9 is not RAM", "x) is 0x0", "x) is yes"} {
		if h, err := parseHost(bad); err == nil {
			t.Errorf("%q: %#x", bad, h)
		}
	}
}

// TestLayout: where RAM is cut and where it goes on, and what the image's place
// corrects.
func TestLayout(t *testing.T) {
	pc := SearchOptions{Gap: 0xc000_0000, Above: 1 << 32}
	got := layout(Region{Host: 0x7000_0000_0000, Size: 4 << 30}, pc)
	want := []Region{
		{Phys: 0, Host: 0x7000_0000_0000, Size: 3 << 30, Name: "guest memory"},
		{Phys: 4 << 30, Host: 0x7000_c000_0000, Size: 1 << 30, Name: "guest memory"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	c := Region{Host: 0x7000_0000_0000, Size: 64 << 20}
	for _, f := range []struct {
		name     string
		addr, at uint64
		opt      SearchOptions
		host     uint64 // of RAM's first byte
		base     uint64
		phys     uint64
	}{
		{"where it is linked", 0x100000, 0x100000, SearchOptions{}, c.Host, 0, 0x100000},
		{"something before RAM", 0x100000, 0x103000, SearchOptions{}, c.Host + 0x3000, 0, 0x100000},
		{"RAM begins before", 0x103000, 0x100000, SearchOptions{}, c.Host, 0x3000, 0x103000},
		{"a slide", 0x40200000, 0x40400000, SearchOptions{RAMBase: 0x40000000, Relocatable: true}, c.Host, 0x40000000, 0x40400000},
	} {
		regions, phys := anchor(c, layout(c, f.opt), f.addr, f.at, f.opt)
		if regions[0].Host != f.host || regions[0].Phys != f.base || phys != f.phys {
			t.Errorf("%s: %+v, %#x", f.name, regions, phys)
		}
	}
}

func FuzzMaps(f *testing.F) {
	f.Add(someMaps)
	f.Add("1-2 rw-s 0 0:0 1 x\n2-3 rw-p 0 0:0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		maps, err := parseMaps(strings.NewReader(text))
		if err != nil {
			return
		}
		for i, m := range maps {
			if m.Size == 0 || m.Last() < m.Start || i > 0 && m.Start <= maps[i-1].Last() {
				t.Fatalf("%+v", maps)
			}
		}
		for _, c := range candidates(maps) {
			if c.Size < leastRAM {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func FuzzFlatView(f *testing.F) {
	f.Add(someView)
	f.Add("FlatView #0\n AS \"memory\"\n  ffffffffffffff00-ffffffffffffffff (prio -1, ram): x @1\n")
	f.Fuzz(func(t *testing.T, text string) {
		parts := parseFlatView(text)
		for i, p := range parts {
			if p.size == 0 || p.phys+(p.size-1) < p.phys || i > 0 && p.phys <= parts[i-1].phys+(parts[i-1].size-1) {
				t.Fatalf("%+v", parts)
			}
		}
		if host, err := parseHost(text); err == nil && host == 0 {
			t.Fatal("host address 0")
		}
	})
}
