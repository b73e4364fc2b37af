package symbolizer

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFirstLookupsAsAllOthers: an address means the same symbol whether the whole
// table was ordered or only the part below it.
func TestFirstLookupsAsAllOthers(t *testing.T) {
	// Labels in the code of functions, many at one place, more than are looked at.
	asm := ".text\n.globl f\n.type f, @function\nf:\n.rept 3000\nnop\n.endr\n.size f, .-f\n"
	asm += ".altmacro\n.macro many n\nl\\n: .byte 0x90\n.type g\\n, @function\ng\\n: .fill 7\n.size g\\n, 5\n.endm\n.set i, 0\n.rept 1500\nmany %i\n.set i, i+1\n.endr\n"
	out := filepath.Join(t.TempDir(), "a")
	cmd := exec.Command("gcc", "-x", "assembler", "-", "-nostdlib", "-static", "-Wl,-e,f", "-o", out)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = stdin.Write([]byte(asm))
		stdin.Close()
	}()
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	im, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if n := im.symbolSection().Size / symSize; n < manySymbols {
		t.Fatalf("only %d symbols: the table is ordered at once", n)
	}
	text := im.sectionNamed(".text")
	name := func(addr uint64) string {
		tab, i, near := im.symbolAt(addr)
		s := ""
		for _, k := range []int{i, near} {
			if k < 0 {
				s += "-,"
			} else {
				s += tab.name(k) + ","
			}
		}
		return s
	}
	few := map[uint64]string{}
	for a := text.Addr; a < text.Addr+text.Size; a += 11 {
		im.lookups.Store(0)
		few[a] = name(a)
	}
	if im.symbolsRead.Load() {
		t.Fatal("the whole table was read")
	}
	im.symbols()
	for a, want := range few {
		if got := name(a); got != want {
			t.Errorf("%#x: %s at first, %s later", a, want, got)
		}
	}
}
