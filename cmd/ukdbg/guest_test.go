package main

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// guest is a running VM with what the tests know of it without ukdbg: where its
// code and its counter of served requests lie.
type guest struct {
	*guesttest.VM
	text   []byte
	at     uint64 // of text; virtual is physical in our guests
	served uint64 // address of server.stats.served
	// sources is the source map of the guest images.
	sources string
}

func boot(t *testing.T, opt guesttest.Options) *guest {
	t.Helper()
	vm := guesttest.Start(t, opt)
	g := &guest{VM: vm, sources: images.SourcePrefix + "=" + guesttest.SourceRoot(t)}
	f, err := elf.Open(vm.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := f.Section(".text")
	if g.text, err = text.Data(); err != nil {
		t.Fatal(err)
	}
	g.at = text.Addr
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == "server" {
			g.served = s.Value
		}
	}
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	off := member(t, d, "server", "stats") + member(t, d, "server_stats", "served")
	if g.served == 0 {
		t.Fatal("the image has no symbol server")
	}
	g.served += off
	return g
}

// member finds the offset of a member of a struct.
func member(t *testing.T, d *dwarf.Data, structure, name string) uint64 {
	t.Helper()
	for r := d.Reader(); ; {
		e, err := r.Next()
		if err != nil || e == nil {
			t.Fatalf("no struct %s with a member %s (%v)", structure, name, err)
		}
		if called, _ := e.Val(dwarf.AttrName).(string); e.Tag != dwarf.TagStructType || called != structure {
			continue
		}
		typ, err := d.Type(e.Offset)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range typ.(*dwarf.StructType).Field {
			if f.Name == name {
				return uint64(f.ByteOffset)
			}
		}
	}
}

// requests reads the guest's counter through QEMU's monitor, which does not
// stop the guest.
func (g *guest) requests(t *testing.T) uint64 {
	t.Helper()
	out := g.HMP(t, fmt.Sprintf("xp /1gx %#x", g.served))
	_, digits, ok := strings.Cut(strings.TrimSpace(out), "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	if !ok || err != nil {
		t.Fatalf("xp said %q", out)
	}
	return n
}

// mustServe waits until some more requests are served. A breakpoint left behind
// in serve would end that at the first.
func (g *guest) mustServe(t *testing.T) {
	t.Helper()
	from, deadline := g.requests(t), time.Now().Add(patience)
	for g.requests(t) < from+4 {
		if !g.Running(t) {
			t.Fatal("the guest stopped by itself: something was left in it")
		}
		if time.Now().After(deadline) {
			t.Fatalf("the guest does not go on: %d requests served at first, %d now", from, g.requests(t))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// serves waits until the guest has served so many requests more, whoever stops it
// meanwhile.
func (g *guest) serves(t *testing.T, n uint64) {
	t.Helper()
	from, deadline := g.requests(t), time.Now().Add(patience)
	for ; g.requests(t) < from+n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the guest does not go on: %d requests served at first, %d now", from, g.requests(t))
		}
	}
}

// code is the guest's code as it is in memory, read by the monitor.
func (g *guest) code(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(filepath.Dir(g.Debug), "text") // QEMU's user writes it
	g.QMP(t, "pmemsave", map[string]any{"val": g.at, "size": len(g.text), "filename": file})
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// mustBeClean compares the guest's code with the image, byte for byte.
func (g *guest) mustBeClean(t *testing.T) {
	t.Helper()
	got := g.code(t)
	if bytes.Equal(got, g.text) {
		return
	}
	for i := range g.text {
		if got[i] != g.text[i] {
			t.Fatalf("code was left patched: %#x at %#x, the image has %#x", got[i], g.at+uint64(i), g.text[i])
		}
	}
}

// pause stops the VM as an operator does, or lets it run.
func (g *guest) pause(t *testing.T, paused bool) {
	t.Helper()
	if paused {
		g.QMP(t, "stop", nil)
	} else {
		g.QMP(t, "cont", nil)
	}
	g.mustRun(t, !paused)
}

func (g *guest) mustRun(t *testing.T, want bool) {
	t.Helper()
	// A stub that notices a closed connection does so a moment later.
	deadline := time.Now().Add(patience)
	for g.Running(t) != want {
		if time.Now().After(deadline) {
			t.Fatalf("the guest runs: %v, want %v", !want, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// mustBeAsFound checks what every way of leaving promises.
func (g *guest) mustBeAsFound(t *testing.T, running bool) {
	t.Helper()
	g.mustRun(t, running)
	g.mustBeClean(t)
	if !running {
		// Nobody must have let it run meanwhile, and nothing may be in its way.
		at := g.requests(t)
		time.Sleep(50 * time.Millisecond)
		if g.requests(t) != at || g.Running(t) {
			t.Fatal("a guest that was found paused runs")
		}
		g.pause(t, false)
	}
	g.mustServe(t)
}
