package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// core dumps the guest's memory into an ELF file.
func (g *guest) core(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	g.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + file})
	return file
}

// overwrite writes to an address of a dump of an identity-mapped guest.
func overwrite(t *testing.T, file string, addr uint64, data []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Paddr && addr-p.Paddr < p.Filesz {
			copy(b[p.Off+addr-p.Paddr:], data)
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%#x is not in the dump", addr)
}

// heapReport is what heap --json says of one guest.
type heapReport struct {
	Allocators []allocatorJSON
	Suspects   []suspectJSON
}

// An object written past its end damages the free chunk behind it: the damage is
// told, and the block before it with its owner. Without damage nobody is suspected.
func TestHeapOverwriter(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: "ukguest-" + arch, GDB: "tcp", MemMiB: 32})
			g.WaitConsole(t, "requests served", patience)
			g.pause(t, true)
			core := g.core(t, "core")
			report := func() (r heapReport) {
				if err := json.Unmarshal([]byte(mustVerb(t, "heap", core, "-e", g.Debug, "--json")), &r); err != nil {
					t.Fatal(err)
				}
				return r
			}
			sound := report()
			if a := sound.Allocators[0]; len(a.Corrupt) > 0 || len(sound.Suspects) > 0 || a.Frag == nil || *a.Frag != 1-float64(*a.Largest)/float64(*a.Free) {
				t.Fatalf("%+v", sound)
			}
			var found *ownerFactJSON
			for level := range 11 {
				o := ownersAt(t, g, core, fmt.Sprintf("((struct uk_bbpalloc *)_uk_alloc_head->priv)->free_head[%d]", level))[0]
				if len(o.Facts) > 0 && o.Facts[0].Block != nil && o.Facts[0].Block.Use == "free" && o.Facts[0].Before != nil && o.Facts[0].Before.Use == "allocated" {
					found = &o.Facts[0]
					break
				}
			}
			if found == nil {
				t.Fatal("no free chunk lies behind an allocated block")
			}
			var chunk uint64
			if _, err := fmt.Sscanf(found.Block.Address, "0x%x", &chunk); err != nil {
				t.Fatal(err)
			}
			overwrite(t, core, chunk, bytes.Repeat([]byte("A"), 16))
			r := report()
			if a := r.Allocators[0]; len(a.Corrupt) == 0 || len(a.Damaged) == 0 || a.Damaged[0] != found.Block.Address {
				t.Fatalf("chunk %s: %+v", found.Block.Address, a)
			}
			if len(r.Suspects) == 0 || r.Suspects[0].Damaged != found.Block.Address || len(r.Suspects[0].Before.Facts) == 0 {
				t.Fatalf("%+v", r.Suspects)
			}
			facts := r.Suspects[0].Before.Facts
			if f := facts[len(facts)-1]; f.Block == nil || f.Block.Address != found.Before.Address || f.Block.Use != "allocated" {
				t.Errorf("before the chunk lies %+v, suspected is %+v", found.Before, facts)
			}
			if out := mustVerb(t, "heap", core, "-e", g.Debug); !strings.Contains(out, "CORRUPT buddy") || !strings.Contains(out, "SUSPECT before the damage at "+found.Block.Address+" lies ") {
				t.Error(out)
			}
		})
	}
}

// Growth between two dumps and between looks at the running guest agrees with
// what each look says.
func TestHeapGrowth(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", MemMiB: 32})
	g.WaitConsole(t, "command line", patience)
	g.pause(t, true)
	first := g.core(t, "first")
	g.pause(t, false)
	g.WaitConsole(t, "requests served", patience)
	g.pause(t, true)
	second := g.core(t, "second")
	used := func(core string) uint64 {
		var r heapReport
		if err := json.Unmarshal([]byte(mustVerb(t, "heap", core, "-e", g.Debug, "--json")), &r); err != nil {
			t.Fatal(err)
		}
		return *r.Allocators[0].Used
	}
	type growth struct{ Growth []growthJSON }
	parse := func(text string) (o growth) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &o); err != nil || len(o.Growth) != 1 || o.Growth[0].State != "same" || o.Growth[0].Grown == nil {
			t.Fatalf("%v: %s", err, text)
		}
		return o
	}
	want := int64(used(second)) - int64(used(first))
	d := parse(mustVerb(t, "heap", "--diff", first, second, "-e", g.Debug, "--json")).Growth[0]
	if *d.Grown != want || *d.Free != -want || want == 0 {
		t.Errorf("%+v, want %d", d, want)
	}
	if d := parse(mustVerb(t, "heap", "--diff", second, first, "-e", g.Debug, "--json")).Growth[0]; *d.Grown != -want {
		t.Errorf("%+v, want %d", d, -want)
	}
	if out := mustVerb(t, "heap", "--diff", first, second, "-e", g.Debug); !strings.Contains(out, "GREW BY") {
		t.Error(out)
	}
	// A guest that stands does not grow.
	if d := parse(mustVerb(t, "heap", "--every", "10ms", "-n", "1", g.GDBAddr(), "-e", g.Debug, "--json")).Growth[0]; *d.Grown != 0 {
		t.Errorf("%+v", d)
	}
	g.mustRun(t, false)
	for _, words := range [][]string{{"heap", first, second}, {"heap", "--diff", first}, {"heap", "--diff", "--every", "1s", first, second}, {"heap", "--every", "-1s", first}} {
		if status, _, _ := verb(t, "", append(words, "-e", g.Debug)...); status != exitUsage {
			t.Errorf("%q: %d", words, status)
		}
	}
}
