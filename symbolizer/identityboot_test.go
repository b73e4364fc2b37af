package symbolizer_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// bootCode is laid out as Unikraft's lcpu_start.S: a word for an address below 1 MiB,
// and a far jump to code.
const bootCode = `
.text
.globl _start, word16, word32, later
_start:
	nop
	.fill 300, 1, 0x90
word16:	.quad 0x1516
	.byte 0xea
word32:	.long 0x1532
	.short 8
	.fill 300, 1, 0x90
later:	ret
.globl table
.section .rodata
table:	.fill 512, 1, 7
`

// Words that the boot code fills in do not make it another image; other words in
// them, and such words elsewhere, do.
func TestBootPatched(t *testing.T) {
	dir := t.TempDir()
	src, out := filepath.Join(dir, "boot.S"), filepath.Join(dir, "boot")
	if err := os.WriteFile(src, []byte(bootCode), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("gcc", "-nostdlib", "-static", "-o", out, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	im, err := symbolizer.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	at := func(name string) uint64 {
		s, ok := im.SymbolByName(name)
		if !ok {
			t.Fatalf("no symbol %s", name)
		}
		return s.Addr
	}
	for _, c := range []struct {
		name  string
		addr  uint64
		value uint64
		match bool
	}{
		{"jump to code", at("word32"), at("later"), true},
		{"jump to data", at("word32"), at("table"), false},
		{"jump out of the image", at("word32"), 0x7fff0000, false},
		{"low address", at("word16"), 0x8000, true},
		{"high address", at("word16"), 0x123456, false},
		{"another word", at("later") - 8, at("later"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := &loaded{im: im, patch: map[uint64]byte{}}
			for i, b := range binary.LittleEndian.AppendUint32(nil, uint32(c.value)) {
				mem.patch[c.addr+uint64(i)] = b
			}
			id, err := symbolizer.Prove(context.Background(), mem, symbolizer.Mapping{Image: im}, symbolizer.ProveOptions{Full: true})
			if err != nil || id.Match != c.match {
				t.Errorf("%+v %v, want match %v", id, err, c.match)
			}
		})
	}
}
