package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// The files in testdata are made by CPython 3's pickle.dump: p<protocol>-<number
// of objects>, and evil*, whose second object is a call of os.system.
func TestRead(t *testing.T) {
	for proto := range 6 {
		for _, objects := range []int{4, 5} {
			name := fmt.Sprintf("p%d-%d.pickle", proto, objects)
			b, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			if !Is(b) {
				t.Errorf("%s is not recognised", name)
			}
			s, err := Read(bytes.NewReader(b))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			elf := ""
			if objects == 5 {
				elf = "/build/app_qemu-x86_64.dbg"
			}
			if s.Objects != objects || s.ELF != elf || s.PointerSize != 8 || s.KeyVals.CheckVersion() != nil || len(s.KeyVals) != 1 {
				t.Errorf("%s: %+v", name, s)
			}
			defs, err := tracebuf.ParseDefinitions(s.Definitions)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var texts []string
			sc := tracebuf.NewScanner(s.Buffer, defs, 0)
			for sc.Scan() {
				texts = append(texts, fmt.Sprint(sc.Record().Time, sc.Record().Def.Name, sc.Record().Text()))
			}
			if fmt.Sprint(texts) != "[100vfs_open\"/etc\" 0x2 350vfs_open_ret-3 400vfs_open\"é\" 0xff000000]" {
				t.Errorf("%s: %q", name, texts)
			}
		}
	}
}

func TestEvil(t *testing.T) {
	for _, name := range []string{"evil0.pickle", "evil4.pickle"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Read(bytes.NewReader(b)); err == nil {
			t.Errorf("%s is read as %+v", name, s)
		}
	}
	var op *OpcodeError
	if _, err := Read(bytes.NewReader([]byte("}.\x93."))); !errors.As(err, &op) || op.Opcode != 0x93 || op.Offset != 2 {
		t.Errorf("STACK_GLOBAL: %v", err)
	}
	for name, b := range map[string]string{
		"empty": "", "one object": "}.", "cut": "}.}", "six": "}.}.}.}.}.}.", "no mark": "t.", "empty stack": ".", "far memo": "h\x05.",
		"deep":         string(bytes.Repeat([]byte("("), maxStack+1)),
		"long":         "}.X\xff\xff\xff\x7fabc.",
		"length wraps": "}.\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
		"objects":      "}.}.}.}.",
	} {
		if s, err := Read(bytes.NewReader([]byte(b))); err == nil {
			t.Errorf("%s is read as %+v", name, s)
		}
	}
	if Is([]byte("\x7fELF")) || Is(nil) {
		t.Error("an ELF file is taken for a pickle")
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.pickle")
	if err != nil || len(files) == 0 {
		f.Fatalf("no testdata: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		s, err := Read(bytes.NewReader(b))
		if err == nil && len(s.Definitions)+len(s.Buffer) > 2*len(b) {
			t.Fatalf("%d bytes of %d", len(s.Definitions)+len(s.Buffer), len(b))
		}
	})
}
