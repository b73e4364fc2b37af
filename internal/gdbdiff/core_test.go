package gdbdiff

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// dump is the guest's memory and processors at one moment, as QEMU wrote them.
type dump struct {
	machine  elf.Machine
	segments []segment
	cpus     [][]byte // struct elf_prstatus of each processor
	cores    int      // written so far
	dir      string
}

// segment is a range of physical memory.
type segment struct {
	addr uint64
	data []byte
}

// page is the size of a page in bytes.
const page = 4096

// unmap leaves a page out of cores, which has memory but no mapping in the guest.
func (d *dump) unmap(addr uint64) {
	for i, s := range d.segments {
		if off := addr - s.addr; addr >= s.addr && off < uint64(len(s.data)) {
			d.segments[i].data = s.data[:off]
			rest := s.data[min(off+page, uint64(len(s.data))):]
			d.segments = slices.Insert(d.segments, i+1, segment{addr + page, rest})
			break
		}
	}
	d.segments = slices.DeleteFunc(d.segments, func(s segment) bool { return len(s.data) == 0 })
}

// takeDump lets QEMU dump the stopped guest.
func takeDump(t *testing.T, vm *guesttest.VM) *dump {
	t.Helper()
	d := &dump{dir: t.TempDir()}
	path := filepath.Join(d.dir, "dump")
	vm.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + path})
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d.machine = f.Machine
	for _, p := range f.Progs {
		data, err := io.ReadAll(p.Open())
		if err != nil {
			t.Fatal(err)
		}
		switch p.Type {
		case elf.PT_NOTE:
			d.readNotes(t, data)
		case elf.PT_LOAD:
			d.segments = append(d.segments, segment{p.Paddr, data})
		}
	}
	if len(d.cpus) == 0 || len(d.segments) == 0 {
		t.Fatalf("the dump has %d processors and %d segments", len(d.cpus), len(d.segments))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return d
}

// readNotes keeps the NT_PRSTATUS notes: u32 name size, description size and
// type, then name and description, each padded to 4 bytes.
func (d *dump) readNotes(t *testing.T, b []byte) {
	t.Helper()
	for len(b) >= 12 {
		le := binary.LittleEndian
		name, desc, kind := int(le.Uint32(b)), int(le.Uint32(b[4:])), le.Uint32(b[8:])
		at := 12 + (name+3)&^3
		if end := at + desc; end > len(b) {
			t.Fatalf("a note of the dump ends %d bytes behind it", end-len(b))
		}
		if kind == uint32(elf.NT_PRSTATUS) && string(b[12:12+name-1]) == "CORE" {
			d.cpus = append(d.cpus, b[at:at+desc])
		}
		b = b[min(len(b), at+(desc+3)&^3):]
	}
}

// word reads memory.
func (d *dump) word(t *testing.T, addr uint64) uint64 {
	t.Helper()
	return binary.LittleEndian.Uint64(d.bytes(t, addr, 8))
}

func (d *dump) bytes(t *testing.T, addr, n uint64) []byte {
	t.Helper()
	for _, s := range d.segments {
		if off := addr - s.addr; addr >= s.addr && off < uint64(len(s.data)) && uint64(len(s.data))-off >= n {
			return s.data[off:][:n]
		}
	}
	t.Fatalf("%#x is not in the dump", addr)
	return nil
}

// str reads a C string.
func (d *dump) str(t *testing.T, addr uint64) string {
	t.Helper()
	b := d.bytes(t, addr, 64)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// hole is the unit in which zero memory is left out of the file.
const hole = 1 << 16

// core writes an ELF core of one thread: its registers and all memory, at the
// addresses it has. What is zero is a hole in the file.
func (d *dump) core(t *testing.T, prstatus []byte) string {
	t.Helper()
	const ehdr, phdr, align = 64, 56, page
	le := binary.LittleEndian
	var note bytes.Buffer
	for _, v := range []uint32{5, uint32(len(prstatus)), uint32(elf.NT_PRSTATUS)} {
		binary.Write(&note, le, v) // a bytes.Buffer does not fail
	}
	note.WriteString("CORE\x00\x00\x00\x00")
	note.Write(prstatus)

	var head bytes.Buffer
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_CORE), Machine: uint16(d.machine), Version: uint32(elf.EV_CURRENT),
		Phoff: ehdr, Ehsize: ehdr, Phentsize: phdr, Phnum: uint16(1 + len(d.segments)),
	}
	at := uint64(ehdr + phdr*(1+len(d.segments)))
	binary.Write(&head, le, h)
	binary.Write(&head, le, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: at, Filesz: uint64(note.Len())})
	offsets := make([]uint64, len(d.segments))
	at += uint64(note.Len())
	for i, s := range d.segments {
		at = (at + align - 1) &^ (align - 1)
		offsets[i] = at
		n := uint64(len(s.data))
		binary.Write(&head, le, elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X),
			Off: at, Vaddr: s.addr, Paddr: s.addr, Filesz: n, Memsz: n, Align: align,
		})
		at += n
	}
	head.Write(note.Bytes())

	d.cores++
	path := filepath.Join(d.dir, fmt.Sprintf("core.%d", d.cores))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(b []byte, off uint64) {
		if _, err := f.WriteAt(b, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	write(head.Bytes(), 0)
	zero := make([]byte, hole)
	for i, s := range d.segments {
		for off := 0; off < len(s.data); off += hole {
			b := s.data[off:min(off+hole, len(s.data))]
			if !bytes.Equal(b, zero[:len(b)]) {
				write(b, offsets[i]+uint64(off))
			}
		}
	}
	if err := f.Truncate(int64(at)); err != nil {
		t.Fatal(err)
	}
	return path
}
