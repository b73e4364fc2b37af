package loaded

import (
	"context"
	"debug/elf"
	"encoding/hex"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
	"github.com/ukdbg/ukdbg/target"
)

// How says by what an object was found.
type How int

// The ways, the surest first.
const (
	LinkMap How = iota // the dynamic loader's list
	Auxv               // the auxiliary vector on a stack
	Area               // an area of the guest's address space begins with it
	Scan               // its header was found below an address of its code
)

func (h How) String() string {
	switch h {
	case LinkMap:
		return "in the dynamic loader's list"
	case Auxv:
		return "in the auxiliary vector"
	case Area:
		return "at the start of an area of the address space"
	case Scan:
		return "inferred: an ELF header below its code"
	}
	return fmt.Sprintf("How(%d)", int(h))
}

// Object is an ELF image in the guest's memory.
type Object struct {
	// Path is what the guest calls it, "" if that is not known. It is the
	// guest's word, and not escaped.
	Path string
	// Slide is run-time minus link-time address.
	Slide uint64
	// Start and Last are the run-time addresses of its first and last byte.
	Start, Last uint64
	// BuildID is the one in memory, in hexadecimal, "" if there is none.
	BuildID string
	// Interp is the dynamic loader it asks for, "" if none.
	Interp string
	How    How

	machine elf.Machine
	dynamic uint64 // run-time address, 0 if none
	base    uint64 // AT_BASE, of a program
	listed  bool   // its dynamic loader's list was read, or it is in one
}

// Contains reports whether a run-time address is in it.
func (o *Object) Contains(addr uint64) bool { return addr >= o.Start && addr <= o.Last }

// Limits of what memory may claim.
const (
	maxHeaders = 64
	maxSize    = 1 << 32
	maxNotes   = 4 << 10
	maxPath    = 4 << 10
	pageSize   = 4 << 10
)

// ehdr and phdr are the sizes of ELF64 headers, in bytes.
const (
	ehdr = 64
	phdr = 56
)

// read reads the headers at an address. It tells nothing of why there are none:
// an address that is looked at need not be that of an image.
func read(ctx context.Context, mem target.Memory, addr uint64) (*Object, error) {
	head := make([]byte, ehdr)
	if err := target.ReadFull(ctx, mem, head, addr); err != nil {
		return nil, err
	}
	if string(head[:4]) != elf.ELFMAG || elf.Class(head[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(head[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, errNone
	}
	r := dwbuf.New(head, 16)
	kind, machine := elf.Type(r.U16()), elf.Machine(r.U16())
	r.Skip(12) // e_version, e_entry
	off := r.U64()
	r.Skip(8 + 4 + 2)
	size, n := r.U16(), int(r.U16())
	if kind != elf.ET_DYN && kind != elf.ET_EXEC || size != phdr || n == 0 || n > maxHeaders || off < ehdr || off > pageSize {
		return nil, errNone
	}
	table := make([]byte, n*phdr)
	if err := target.ReadFull(ctx, mem, table, addr+off); err != nil {
		return nil, err
	}
	o := &Object{machine: machine}
	return o, o.parse(ctx, mem, addr, table)
}

// segment is a program header.
type segment struct {
	kind                  elf.ProgType
	off, addr, file, size uint64
}

func segments(table []byte) []segment {
	var out []segment
	for i := range len(table) / phdr {
		r := dwbuf.New(table, uint64(i*phdr))
		s := segment{kind: elf.ProgType(r.U32())}
		r.Skip(4)
		s.off, s.addr = r.U64(), r.U64()
		r.Skip(8)
		s.file, s.size = r.U64(), r.U64()
		out = append(out, s)
	}
	return out
}

// parse fills in what the program headers of the image at addr say.
func (o *Object) parse(ctx context.Context, mem target.Memory, addr uint64, table []byte) error {
	all := segments(table)
	first := -1
	for i, s := range all {
		if s.kind == elf.PT_LOAD && s.off < pageSize && (first < 0 || s.addr < all[first].addr) {
			first = i
		}
	}
	if first < 0 {
		return errNone
	}
	// The header is the file's first byte.
	o.Slide = addr - (all[first].addr - all[first].off)
	o.Start = addr
	for _, s := range all {
		if s.kind != elf.PT_LOAD || s.size == 0 {
			continue
		}
		last := o.Slide + s.addr + s.size - 1
		if s.size > maxSize || last < addr || last-addr > maxSize {
			return errNone
		}
		o.Last = max(o.Last, last)
	}
	for _, s := range all {
		switch s.kind {
		case elf.PT_DYNAMIC:
			o.dynamic = o.Slide + s.addr
		case elf.PT_INTERP:
			o.Interp = readString(ctx, mem, o.Slide+s.addr, min(s.file, maxPath))
		case elf.PT_NOTE:
			if o.BuildID == "" {
				o.BuildID = readBuildID(ctx, mem, o.Slide+s.addr, min(s.file, maxNotes))
			}
		}
	}
	return nil
}

// readString reads a string of at most n bytes, "" if it is not readable.
func readString(ctx context.Context, mem target.Memory, addr, n uint64) string {
	for size := min(n, 64); ; size = min(n, 2*size) {
		b := make([]byte, size)
		got, _ := mem.ReadMemory(ctx, b, addr) // what is there may do
		b = b[:min(max(got, 0), len(b))]
		for i, c := range b {
			if c == 0 {
				return string(b[:i])
			}
		}
		if uint64(len(b)) < size || size >= n {
			return ""
		}
	}
}

// readBuildID looks for the note NT_GNU_BUILD_ID of owner "GNU".
func readBuildID(ctx context.Context, mem target.Memory, addr, n uint64) string {
	b := make([]byte, n)
	if target.ReadFull(ctx, mem, b, addr) != nil {
		return ""
	}
	for r := dwbuf.New(b, 0); r.Len() > 0; {
		namesz, descsz, kind := uint64(r.U32()), uint64(r.U32()), r.U32()
		name := r.Bytes((namesz + 3) &^ 3)
		desc := r.Bytes(descsz)
		if r.Failed() {
			return ""
		}
		if kind == 3 && string(name) == "GNU\x00" {
			return hex.EncodeToString(desc)
		}
		r.Skip(min(-descsz&3, uint64(r.Len())))
	}
	return ""
}
