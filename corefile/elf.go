package corefile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/ukdbg/ukdbg/target/arch"
)

const (
	ehdrSize = 64
	phdrSize = 56
	shdrSize = 64
	// maxHeaders bounds the program headers, maxNotes the bytes of all notes.
	// 4096 processors make 3 MiB of notes.
	maxHeaders = 1 << 16
	maxNotes   = 16 << 20
	// manyHeaders in e_phnum says that the number is in the first section
	// header (PN_XNUM).
	manyHeaders = 0xffff
)

// layout is what the ELF headers say.
type layout struct {
	machine elf.Machine
	osabi   elf.OSABI
	loads   []load
	notes   []byte
	cut     bool // the file ends before its segments do
	// sections counts the section headers at shoff; names is the one with their
	// names.
	shoff           uint64
	sections, names uint64
}

// load is a PT_LOAD header. size is what the file should have, offset where.
type load struct {
	virt, phys, size, mem uint64
	offset                int64
}

func isELF(head []byte) bool { return bytes.HasPrefix(head, []byte(elf.ELFMAG)) }

// readELF reads a core of a machine or a process, by what it holds.
func readELF(in input) (*contents, error) {
	l, err := readLayout(in)
	if err != nil {
		return nil, err
	}
	a := arch.ByMachine(l.machine)
	if a == nil {
		return nil, malformed("it is of a machine (%s) that is not known here", l.machine)
	}
	sections, err := l.sectionTable(in)
	if err != nil {
		return nil, err
	}
	var c *contents
	switch {
	case sections[xenPages].size != 0:
		c, err = readXen(in, a, sections)
	case len(l.loads) == 0:
		err = malformed("it has no memory")
	case processCore(l.notes):
		c, err = readProcess(in, a, l)
	default:
		c = readMachine(in, a, l)
	}
	if err != nil {
		return nil, err
	}
	if l.cut {
		c.notes = append(c.notes, "the dump is cut off: some memory is missing at its end")
	}
	return c, nil
}

// readMachine reads what QEMU, Solo5 and our own "ukdbg dump" write: physical
// memory and a note for each processor.
func readMachine(in input, a *arch.Arch, l layout) *contents {
	c := &contents{format: "ELF core of a machine", arch: a}
	if l.osabi == solo5ABI {
		c.format = "Solo5 ELF core"
	}
	var segments []segment
	for _, p := range l.loads {
		if p.mem != 0 && p.phys+(p.mem-1) >= p.phys {
			segments = append(segments, segment{addr: p.phys, size: min(p.size, p.mem), mem: p.mem, offset: p.offset})
		}
	}
	memory := &pieces{r: in.r, all: untangle(segments), hole: noMemory}
	c.phys = memory
	var problems []string
	c.cpus, c.info, problems = parseNotes(l.notes, a)
	c.notes = append(c.notes, problems...)
	if c.readOwn(l.notes); c.own != nil {
		c.format, memory.hole, memory.leftOut = "ukdbg dump", ownHole(c.own), c.own.Minimal
	}
	if l.osabi == solo5ABI {
		c.identityMapped()
	}
	return c
}

// solo5ABI is ELFOSABI_STANDALONE, by which Solo5's cores are known: its tenders
// map the guest's memory one to one and note no CR3 (solo5
// tenders/hvt/hvt_module_dumpcore.c).
const solo5ABI = elf.OSABI(255)

func (c *contents) identityMapped() {
	for i := range c.cpus {
		c.cpus[i].identity = true
	}
}

// readLayout reads the headers and notes of an ELF dump.
func readLayout(in input) (layout, error) {
	var l layout
	r, size, eh := in.r, in.size, in.head
	if len(eh) < ehdrSize {
		return l, malformed("it is shorter than an ELF header")
	}
	if err := checkIdent(eh); err != nil {
		return l, err
	}
	le := binary.LittleEndian
	l.machine, l.osabi = elf.Machine(le.Uint16(eh[18:])), elf.OSABI(eh[elf.EI_OSABI])
	phoff := le.Uint64(eh[32:])
	l.shoff = le.Uint64(eh[40:])
	phnum := uint64(le.Uint16(eh[56:]))
	l.sections, l.names = uint64(le.Uint16(eh[60:])), uint64(le.Uint16(eh[62:]))
	if n := le.Uint16(eh[54:]); n != phdrSize && phnum != 0 {
		return l, malformed("its program headers have %d bytes each, not %d", n, phdrSize)
	}
	if phnum == manyHeaders {
		var sh [shdrSize]byte
		if l.shoff > uint64(size) || readAt(r, sh[:], int64(l.shoff)) != nil {
			return l, malformed("its program header count cannot be read")
		}
		phnum = uint64(le.Uint32(sh[44:])) // sh_info
	}
	if phnum > maxHeaders || phnum == 0 && l.sections == 0 {
		return l, malformed("it has %d program headers", phnum)
	}
	if phoff > uint64(size) || phnum*phdrSize > uint64(size)-phoff {
		return l, malformed("it ends before its program headers do")
	}
	table := make([]byte, phnum*phdrSize)
	if err := readAt(r, table, int64(phoff)); err != nil {
		return l, fmt.Errorf("reading the dump's program headers: %w", err)
	}
	for ; len(table) > 0; table = table[phdrSize:] {
		if err := l.header(r, size, table[:phdrSize]); err != nil {
			return l, err
		}
	}
	return l, nil
}

func checkIdent(eh []byte) error {
	if elf.Class(eh[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(eh[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return malformed("it is an ELF file, but not a 64-bit little-endian one")
	}
	if t := elf.Type(binary.LittleEndian.Uint16(eh[16:])); t != elf.ET_CORE {
		return malformed("it is an ELF file of type %s; a program or image goes after -e", t)
	}
	return nil
}

func (l *layout) header(r io.ReaderAt, size int64, ph []byte) error {
	le := binary.LittleEndian
	offset, virt, phys := le.Uint64(ph[8:]), le.Uint64(ph[16:]), le.Uint64(ph[24:])
	filesz, memsz := le.Uint64(ph[32:]), le.Uint64(ph[40:])
	have := uint64(0)
	if offset < uint64(size) {
		have = min(filesz, uint64(size)-offset)
	}
	typ := elf.ProgType(le.Uint32(ph))
	if (typ == elf.PT_NOTE || typ == elf.PT_LOAD) && have < filesz {
		l.cut = true
	}
	switch typ {
	case elf.PT_NOTE:
		if have > maxNotes-uint64(len(l.notes)) {
			return malformed("its notes have more than %d bytes", maxNotes)
		}
		notes := make([]byte, have)
		if err := readAt(r, notes, int64(min(offset, uint64(size)))); err != nil {
			return fmt.Errorf("reading the dump's notes: %w", err)
		}
		l.notes = append(l.notes, notes...)
	case elf.PT_LOAD:
		if filesz > math.MaxInt64 || offset > math.MaxInt64-filesz {
			return nil // no file has such an offset
		}
		l.loads = append(l.loads, load{virt: virt, phys: phys, size: filesz, mem: memsz, offset: int64(offset)})
	}
	return nil
}

// section is where a section's bytes are in the file.
type section struct {
	size, entry uint64
	offset      int64
}

// sectionTable reads the sections by name. Those that are cut off are left out.
func (l *layout) sectionTable(in input) (map[string]section, error) {
	all := map[string]section{}
	if l.sections == 0 || l.names >= l.sections || l.shoff > uint64(in.size) || l.sections*shdrSize > uint64(in.size)-l.shoff {
		return all, nil
	}
	le := binary.LittleEndian
	table := make([]byte, l.sections*shdrSize)
	if err := readAt(in.r, table, int64(l.shoff)); err != nil {
		return nil, fmt.Errorf("reading the dump's section headers: %w", err)
	}
	at := func(i uint64) (name uint32, s section) {
		h := table[i*shdrSize:]
		return le.Uint32(h), section{offset: int64(le.Uint64(h[24:])), size: le.Uint64(h[32:]), entry: le.Uint64(h[56:])}
	}
	_, strings := at(l.names)
	const maxNames = 1 << 20
	if strings.size > maxNames || strings.offset < 0 || strings.offset > in.size-int64(strings.size) {
		return all, nil
	}
	text := make([]byte, strings.size)
	if err := readAt(in.r, text, strings.offset); err != nil {
		return nil, fmt.Errorf("reading the dump's section names: %w", err)
	}
	for i := range l.sections {
		name, s := at(i)
		if uint64(name) >= uint64(len(text)) || s.offset < 0 || s.offset > in.size {
			continue
		}
		end := bytes.IndexByte(text[name:], 0)
		if end > 0 {
			all[string(text[name:int(name)+end])] = s
		}
	}
	return all, nil
}
