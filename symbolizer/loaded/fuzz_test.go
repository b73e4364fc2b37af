package loaded

import (
	"bytes"
	"context"
	"debug/elf"
	"testing"

	"github.com/ukdbg/ukdbg/target"
)

// block is memory from address 0 on.
type block []byte

func (b block) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	for i := range p {
		a := addr + uint64(i)
		if a >= uint64(len(b)) {
			return i, &target.FaultError{Addr: a}
		}
		p[i] = b[a]
	}
	return len(p), nil
}

// image is a small image in memory, with a dynamic section, a list of two objects
// that are in a circle, and a vector behind it.
func image() []byte {
	b := make([]byte, 3*pageSize)
	le := func(at int, v ...uint64) {
		for i, x := range v {
			for k := range 8 {
				b[at+8*i+k] = byte(x >> (8 * k))
			}
		}
	}
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18] = byte(elf.ET_DYN), byte(elf.EM_X86_64)
	le(32, ehdr)
	b[54], b[56] = phdr, 2
	le(ehdr, uint64(elf.PT_LOAD)|5<<32, 0, 0, 0, 3*pageSize, 3*pageSize, pageSize)
	le(ehdr+phdr, uint64(elf.PT_DYNAMIC), 0x200, 0x200, 0x200, 64, 64, 8)
	le(0x200, uint64(elf.DT_STRTAB), 0x300, uint64(elf.DT_DEBUG), 0x400, 0, 0)
	le(0x400, 1, 0x500, 0, 0, 0)
	le(0x500, 0, 0x600, 0x200, 0x500)
	copy(b[0x600:], "/lib/x\x00")
	le(0x1000, 4, phdr, atPhdr, ehdr, atBase, 0, atExecfn, 0x600, atNull)
	return b
}

func FuzzFind(f *testing.F) {
	f.Add(image())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		objects, notes, err := Find(context.Background(), block(data), Where{
			Machine: elf.EM_X86_64, Areas: []uint64{0, pageSize}, Stacks: []uint64{0x800, 0}, Code: []uint64{0x2000, ^uint64(0)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(objects) > maxObjects || len(notes) > maxObjects {
			t.Fatalf("%d objects, %d notes", len(objects), len(notes))
		}
		for _, o := range objects {
			if o.Last < o.Start || o.Last-o.Start > maxSize {
				t.Fatalf("%+v", o)
			}
		}
	})
}

// TestCircle: the list of the seed ends where it comes back to its start.
func TestCircle(t *testing.T) {
	objects, notes, err := Find(context.Background(), block(image()), Where{Machine: elf.EM_X86_64, Stacks: []uint64{0x800}})
	if err != nil || len(objects) != 1 || len(notes) != 1 || objects[0].How != LinkMap || objects[0].Path != "/lib/x" {
		t.Errorf("%+v, %q, %v", objects, notes, err)
	}
	// Of another machine it is data.
	if objects, _, _ := Find(context.Background(), block(image()), Where{Machine: elf.EM_AARCH64, Stacks: []uint64{0x800}}); len(objects) > 0 {
		t.Errorf("%+v", objects)
	}
}

func FuzzCpio(f *testing.F) {
	seed := []byte("070701" + "00000001000081a40000000000000000000000010000000000000003" + "00000000000000000000000000000000" + "0000000200000000a\x00abc\x00")
	f.Add(seed, "a")
	f.Add(append(seed, seed...), "/a/b")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		if len(data) > 1<<16 || len(name) > 1<<10 {
			return
		}
		a, err := readArchive(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if at, ok := a.find(name); ok {
			if b, err := a.content(at); err != nil || int64(len(b)) != at.size {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
		}
	})
}
