package symbolizer

import (
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Section is one section of an image.
type Section struct {
	Name  string
	Type  elf.SectionType
	Flags elf.SectionFlag
	// Addr is the link-time address and Size the size in memory, in bytes.
	// Sections without SHF_ALLOC may carry an Addr that means nothing.
	Addr, Size uint64
	link       uint32
	raw        *lazy // nil without content in the file
}

// Alloc reports whether the section is in guest memory.
func (s *Section) Alloc() bool { return s.Flags&elf.SHF_ALLOC != 0 }

// Code reports whether the section holds instructions.
func (s *Section) Code() bool { return s.Alloc() && s.Flags&elf.SHF_EXECINSTR != 0 }

// ReadOnly reports whether the section is in guest memory and never written.
func (s *Section) ReadOnly() bool { return s.Alloc() && s.Flags&elf.SHF_WRITE == 0 }

// contains reports whether addr is in the section. A section that would wrap
// past the top of memory is refused when the image is opened.
func (s *Section) contains(addr uint64) bool { return addr >= s.Addr && addr-s.Addr < s.Size }

// Segment is one loadable segment.
type Segment struct {
	Flags elf.ProgFlag
	// Addr and Phys are link-time virtual and physical addresses; FileSize
	// and MemSize are in bytes.
	Addr, Phys, FileSize, MemSize uint64
}

const (
	ehdrSize = 64
	phdrSize = 56
	shdrSize = 64
	// maxSections bounds what a header may claim; LTO-less builds with
	// -ffunction-sections that were not linked reach some ten thousand.
	maxSections = 1 << 17
)

// parseELF reads the ELF header, the program headers and the section headers
// (System V ABI, chapters 4 and 5). It reads no contents of
// sections but their names.
func (im *Image) parseELF() error {
	bad := func(format string, args ...any) error {
		return &FormatError{im.Path, fmt.Sprintf(format, args...)}
	}
	if err := im.file.fill(0, ehdrSize); err != nil {
		return err
	}
	d := im.file.data
	if err := im.recogniseForeign(); err != nil {
		return err
	}
	if len(d) < ehdrSize {
		return bad("truncated ELF file: %d bytes, its header alone is %d", len(d), ehdrSize)
	}
	switch elf.Data(d[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
	case elf.ELFDATA2MSB:
		im.bigEndian = true
	default:
		return bad("damaged ELF file: neither little- nor big-endian")
	}
	r := im.numbers(d, 16)
	im.elfType = elf.Type(r.U16())
	im.machine = elf.Machine(r.U16())
	r.Skip(4) // e_version
	im.entry = r.U64()
	phoff, shoff := r.U64(), r.U64()
	r.Skip(6) // e_flags, e_ehsize
	phentsize, phnum, shentsize := r.U16(), uint64(r.U16()), r.U16()
	shnum, shstrndx := uint64(r.U16()), uint32(r.U16())

	im.arch = arch.ByMachine(im.machine)
	switch {
	case im.arch == nil && im.bigEndian:
		// No guest of ours is; its addresses can be named all the same.
		im.arch = &arch.Arch{Name: im.machine.String(), Machine: im.machine}
	case im.arch == nil:
		return bad("ELF file for %s; x86_64 and arm64 are supported", im.machine)
	}
	switch im.elfType {
	case elf.ET_EXEC, elf.ET_DYN:
	case elf.ET_REL:
		if im.part {
			break
		}
		return bad("an object file that was not linked yet, it has no addresses: give the linked image")
	case elf.ET_CORE:
		return bad("a memory dump, not an image: give it as the target (core:FILE)")
	default:
		return bad("ELF file of type %s, not an image", im.elfType)
	}
	if phnum > 0 {
		if phentsize < phdrSize {
			return bad("damaged ELF file: program headers of %d bytes", phentsize)
		}
		if err := im.parseSegments(phoff, phnum, uint64(phentsize)); err != nil {
			return err
		}
	}
	if shoff == 0 {
		return fmt.Errorf("%s: %w", im.Path, ErrStripped)
	}
	if shentsize < shdrSize {
		return bad("damaged ELF file: section headers of %d bytes", shentsize)
	}
	return im.parseSections(shoff, shnum, uint64(shentsize), shstrndx)
}

// numbers reads numbers of the image's byte order.
func (im *Image) numbers(b []byte, off uint64) dwbuf.Reader {
	return dwbuf.NewOrder(b, off, im.bigEndian)
}

// recogniseForeign tells files that are no ELF64 images by their first bytes.
func (im *Image) recogniseForeign() error {
	d := im.file.data
	if len(d) >= 64 && string(d[56:60]) == "ARM\x64" {
		return im.wrapper("an arm64 Linux Image (bootable form)")
	}
	if len(d) == 0 {
		return &FormatError{im.Path, "the file is empty"}
	}
	if len(d) < 20 || string(d[:4]) != elf.ELFMAG {
		return &FormatError{im.Path, "not an ELF file"}
	}
	if elf.Class(d[elf.EI_CLASS]) == elf.ELFCLASS32 {
		if r := dwbuf.New(d, 18); elf.Machine(r.U16()) == elf.EM_386 {
			return im.wrapper("a 32-bit multiboot wrapper (bootable form)")
		}
		return &FormatError{im.Path, "a 32-bit ELF file; images of 64-bit guests are supported"}
	}
	if elf.Class(d[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return &FormatError{im.Path, "damaged ELF file: neither 32 nor 64 bits"}
	}
	return nil
}

func (im *Image) wrapper(what string) error {
	e := &WrapperError{Path: im.Path, What: what}
	for _, p := range []string{im.Path + ".dbg", strings.TrimSuffix(im.Path, ".elf") + ".dbg"} {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			e.Found = p
			break
		}
	}
	return e
}

func (im *Image) parseSegments(off, num, size uint64) error {
	end := uint64(len(im.file.data))
	if off > end || num*size > end-off {
		return im.truncated("program headers", off, num*size)
	}
	if err := im.file.fill(off, num*size); err != nil {
		return err
	}
	for i := range num {
		r := im.numbers(im.file.data, off+i*size)
		typ, flags := elf.ProgType(r.U32()), elf.ProgFlag(r.U32())
		r.Skip(8) // p_offset: contents are taken from sections
		s := Segment{Flags: flags, Addr: r.U64(), Phys: r.U64(), FileSize: r.U64(), MemSize: r.U64()}
		if typ == elf.PT_LOAD {
			im.segments = append(im.segments, s)
		}
	}
	return nil
}

func (im *Image) truncated(what string, off, n uint64) error {
	return &FormatError{im.Path, fmt.Sprintf(
		"truncated ELF file: %s want %d bytes at offset %d, the file has %d: copy or build it again",
		what, n, off, len(im.file.data))}
}

func (im *Image) parseSections(off, num, size uint64, shstrndx uint32) error {
	end := uint64(len(im.file.data))
	if off > end || size > end-off {
		return im.truncated("section headers", off, max(num, 1)*size)
	}
	if err := im.file.fill(off, size); err != nil {
		return err
	}
	// Big counts are in the first header (System V ABI, "e_shnum").
	first := im.numbers(im.file.data, off+32)
	if n := first.U64(); num == 0 {
		num = n
	}
	if l := first.U32(); shstrndx == uint32(elf.SHN_XINDEX) {
		shstrndx = l
	}
	if num > maxSections {
		return &FormatError{im.Path, fmt.Sprintf("damaged ELF file: %d sections", num)}
	}
	if num*size > end-off {
		return im.truncated("section headers", off, num*size)
	}
	if err := im.file.fill(off, num*size); err != nil {
		return err
	}
	im.headers = slices.Concat(im.file.data[:ehdrSize], im.file.data[off:off+num*size])
	im.sections = make([]Section, num)
	names := make([]uint32, num)
	for i := range num {
		r := im.numbers(im.file.data, off+i*size)
		s := &im.sections[i]
		names[i] = r.U32()
		s.Type, s.Flags = elf.SectionType(r.U32()), elf.SectionFlag(r.U64())
		s.Addr = r.U64()
		at := r.U64()
		s.Size, s.link = r.U64(), r.U32()
		if s.Alloc() && s.Size > 0 && s.Addr+s.Size-1 < s.Addr {
			return &FormatError{im.Path, fmt.Sprintf("damaged ELF file: section %d wraps past the top of memory", i)}
		}
		if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
			continue
		}
		if at > end || s.Size > end-at {
			return im.truncated(fmt.Sprintf("section %d", i), at, s.Size)
		}
		s.raw = &lazy{file: im.file, off: at, size: s.Size}
	}
	if uint64(shstrndx) < num {
		strs := im.sections[shstrndx].raw.bytes()
		for i := range im.sections {
			im.sections[i].Name = string(cstring(strs, uint64(names[i])))
		}
	}
	return nil
}

// cstring returns the NUL-terminated string at off, nil if it is outside.
func cstring(b []byte, off uint64) []byte {
	r := dwbuf.New(b, off)
	s := r.CString()
	return s
}
