package ctype_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

var debugSections = []string{
	".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets", ".debug_addr",
	".debug_rnglists", ".debug_loclists", ".debug_ranges", ".debug_loc",
}

// patched gives the sections of an image with a few bytes of one changed.
type patched map[string][]byte

func (p patched) Section(name string) []byte { return p[name] }

// FuzzDWARF changes the debugging information of real images and asks for
// everything it holds. It must end, without a panic.
func FuzzDWARF(f *testing.F) {
	var images []*symbolizer.Image
	for _, cc := range [][]string{{"gcc", "-g", "-O2"}, {"clang-16", "-g", "-O2"}, {"gcc", "-gdwarf-4", "-O2"}} {
		images = append(images, compile(f, cc, "layout.c", "other.c"))
	}
	for section := range debugSections {
		for image := range images {
			f.Add(byte(image), byte(section), uint16(40), []byte{0xff})
			f.Add(byte(image), byte(section), uint16(60), []byte{0, 0, 0, 0})
			f.Add(byte(image), byte(section), uint16(120), []byte{0x80, 0x80, 0x80, 0xff, 0x7f})
		}
	}
	f.Fuzz(func(t *testing.T, image, section byte, off uint16, patch []byte) {
		im := images[int(image)%len(images)]
		p := patched{}
		for _, name := range debugSections {
			p[name] = im.Section(name)
		}
		name := debugSections[int(section)%len(debugSections)]
		if data := append([]byte(nil), p[name]...); len(data) > 0 {
			copy(data[int(off)%len(data):], patch)
			p[name] = data
		}
		ts, err := ctype.New(p)
		if err != nil {
			return
		}
		exercise(ts, im)
	})
}

// exercise asks for all types, variables and scopes.
func exercise(ts *ctype.Types, im *symbolizer.Image) {
	r := ts.Reader(context.Background(), &imageMemory{im: im}, 0)
	look := func(t *ctype.Type) {
		_, _ = t.String(), t.Definition()
		_, _, _ = t.Size(), t.FieldNames(), t.Enumerators()
	}
	for _, name := range []string{"struct node", "struct bits", "struct hidden", "enum colour", "flags_t", "uint64_t", "int"} {
		if t, err := ts.Lookup(name); err == nil {
			look(t)
			for _, f := range t.Fields() {
				_, _ = r.At(t, 0x1000).Field(f.Name).Uint()
			}
		}
	}
	vars, _ := ts.Globals()
	for _, v := range vars {
		look(v.Type)
		_, _ = r.Variable(v).Field("next.next").Uint()
		_, _ = r.Variable(v).Index(1).Uint()
		_, _ = r.Variable(v).CString(10)
	}
	_, _, _ = ts.EnumConstant("BLUE")
	regs := target.NewRegs(im.Arch())
	for _, reg := range im.Arch().Regs {
		regs.Set(reg.Num, 0x401000)
	}
	for _, s := range im.SymbolsByPrefix("") {
		for pc := s.Addr; pc < s.Addr+min(s.Size, 64); pc += 3 {
			scope, err := ts.Scope(pc, 0)
			if err != nil {
				continue
			}
			frame := &ctype.Frame{Regs: regs, CFA: 0x402000, PC: pc, LookupPC: pc}
			frame.Caller = func() *ctype.Frame { return frame }
			for _, l := range scope.Locals() {
				look(l.Type)
				_, _ = l.Value(r, frame).Uint()
			}
		}
	}
}

// TestSelfReference reads types that only lead back to themselves.
func TestSelfReference(t *testing.T) {
	asm := `
	.section .debug_abbrev,"",@progbits
	.byte 1, 0x11, 1, 0, 0
	.byte 2, 0x16, 0, 3, 8, 0x49, 0x13, 0, 0
	.byte 3, 1, 1, 0x49, 0x13, 0, 0
	.byte 4, 0x21, 0, 0x2f, 0xb, 0, 0
	.byte 5, 0x13, 1, 3, 8, 0xb, 0xb, 0, 0
	.byte 6, 0xd, 0, 0x49, 0x13, 0x38, 0xb, 0, 0 /* members without a name */
	.byte 7, 0x34, 0, 3, 8, 0x49, 0x13, 0, 0
	.byte 0
	.section .debug_info,"",@progbits
cu:	.long end - start
start:	.short 4
	.long 0
	.byte 8
	.byte 1
t1:	.byte 2
	.asciz "ring"
	.long t2 - cu
t2:	.byte 2
	.asciz "ring2"
	.long t1 - cu
arr:	.byte 3
	.long arr - cu
	.byte 4, 9, 0
st:	.byte 5
	.asciz "box"
	.byte 8
	.byte 6
	.long st - cu
	.byte 0
	.byte 6
	.long st - cu
	.byte 4
	.byte 0
	.byte 7
	.asciz "v1"
	.long arr - cu
	.byte 7
	.asciz "v2"
	.long st - cu
	.byte 0
end:
	.text
	.globl _start
_start:	nop
	`
	dir := t.TempDir()
	src, out := filepath.Join(dir, "a.s"), filepath.Join(dir, "a")
	if err := os.WriteFile(src, []byte(asm), 0o600); err != nil {
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
	ts := newTypes(t, im)
	r := ts.Reader(context.Background(), &imageMemory{im: im}, 0)
	for _, name := range []string{"ring", "struct box"} {
		ty, err := ts.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _ = ty.String(), ty.Definition(), ty.Size()
		if _, err := r.At(ty, 0x1000).Uint(); err == nil {
			t.Errorf("%s has a value", name)
		}
		if _, ok := ty.Field("nothing"); ok {
			t.Errorf("%s has a field", name)
		}
	}
	for _, name := range []string{"v1", "v2"} {
		vars, err := ts.GlobalsNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _ = vars[0].Type.Definition(), vars[0].Type.Size(), vars[0].Type.FieldNames()
	}
}
