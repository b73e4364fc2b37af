package corefile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"sort"
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

// segment is a range of physical memory in the file.
type segment struct {
	phys, size uint64 // size is what the file has
	mem        uint64 // size in the guest's memory
	offset     int64
}

func (s segment) contains(addr uint64) bool { return addr-s.phys < s.size }

// layout is what the ELF headers say.
type layout struct {
	machine elf.Machine
	loads   []segment // by physical address, without overlaps
	notes   []byte
	cut     bool // the file ends before its segments do
}

func badELF(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

// readLayout reads the headers and notes of a dump of the given size.
func readLayout(r io.ReaderAt, size int64) (layout, error) {
	var l layout
	var eh [ehdrSize]byte
	n, err := r.ReadAt(eh[:], 0)
	if n < len(eh) && err != nil && err != io.EOF {
		return l, fmt.Errorf("reading the dump: %w", err)
	}
	if string(eh[:4]) != elf.ELFMAG {
		return l, badELF("%s", guess(eh[:]))
	}
	if n < len(eh) {
		return l, badELF("it is shorter than an ELF header")
	}
	if err := checkIdent(eh[:]); err != nil {
		return l, err
	}
	le := binary.LittleEndian
	l.machine = elf.Machine(le.Uint16(eh[18:]))
	phoff, shoff := le.Uint64(eh[32:]), le.Uint64(eh[40:])
	phnum := uint64(le.Uint16(eh[56:]))
	if n := le.Uint16(eh[54:]); n != phdrSize && phnum != 0 {
		return l, badELF("its program headers have %d bytes each, not %d", n, phdrSize)
	}
	if phnum == manyHeaders {
		var sh [shdrSize]byte
		if shoff > uint64(size) || readAt(r, sh[:], int64(shoff)) != nil {
			return l, badELF("its program header count cannot be read")
		}
		phnum = uint64(le.Uint32(sh[44:])) // sh_info
	}
	if phnum == 0 || phnum > maxHeaders {
		return l, badELF("it has %d program headers", phnum)
	}
	if phoff > uint64(size) || phnum*phdrSize > uint64(size)-phoff {
		return l, badELF("it ends before its program headers do")
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
	l.loads = untangle(l.loads)
	if len(l.loads) == 0 {
		return l, badELF("it has no memory")
	}
	return l, nil
}

func checkIdent(eh []byte) error {
	if elf.Class(eh[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(eh[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return badELF("it is an ELF file, but not a 64-bit little-endian one")
	}
	if t := elf.Type(binary.LittleEndian.Uint16(eh[16:])); t != elf.ET_CORE {
		return badELF("it is an ELF file of type %s; a program or image goes after -e", t)
	}
	return nil
}

// guess says what other format a file seems to have by its first 64 bytes.
func guess(head []byte) string {
	switch {
	case string(head[:12]) == "makedumpfile":
		return "it is a flattened kdump file; dump again in QEMU's ELF format (dump-guest-memory without -z)"
	case string(head[:8]) == "KDUMP   ":
		return "it is a kdump file; dump again in QEMU's ELF format (dump-guest-memory without -z)"
	}
	return "it has no ELF header"
}

func (l *layout) header(r io.ReaderAt, size int64, ph []byte) error {
	le := binary.LittleEndian
	offset, phys := le.Uint64(ph[8:]), le.Uint64(ph[24:])
	filesz, memsz := le.Uint64(ph[32:]), le.Uint64(ph[40:])
	have := uint64(0)
	if offset < uint64(size) {
		have = min(filesz, uint64(size)-offset)
	}
	switch elf.ProgType(le.Uint32(ph)) {
	case elf.PT_NOTE:
		if have < filesz {
			l.cut = true
		}
		if have > maxNotes-uint64(len(l.notes)) {
			return badELF("its notes have more than %d bytes", maxNotes)
		}
		notes := make([]byte, have)
		if err := readAt(r, notes, int64(min(offset, uint64(size)))); err != nil {
			return fmt.Errorf("reading the dump's notes: %w", err)
		}
		l.notes = append(l.notes, notes...)
	case elf.PT_LOAD:
		if have < filesz {
			l.cut = true
		}
		if memsz == 0 || phys+(memsz-1) < phys {
			return nil // nothing, or around the end of the address space
		}
		l.loads = append(l.loads, segment{phys: phys, size: min(have, memsz), mem: memsz, offset: int64(min(offset, uint64(size)))})
	}
	return nil
}

// untangle sorts segments and trims what an earlier one holds already, so that
// each address is in one segment at most. QEMU writes overlaps with paging=on,
// where one page may be mapped twice.
func untangle(all []segment) []segment {
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].phys != all[j].phys {
			return all[i].phys < all[j].phys
		}
		return all[i].size > all[j].size
	})
	var out []segment
	var last uint64 // last address held
	for _, s := range all {
		if len(out) > 0 && s.phys <= last {
			skip := last - s.phys + 1
			if skip == 0 || skip >= s.mem {
				continue
			}
			s.phys += skip
			s.mem -= skip
			if skip >= s.size {
				s.size = 0
			} else {
				s.size -= skip
				s.offset += int64(skip)
			}
		}
		last = s.phys + (s.mem - 1)
		out = append(out, s)
	}
	return out
}

// readAt reads all of p or fails.
func readAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
