package imageindex

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// Form is how a file holds an image.
type Form string

// The forms.
const (
	// ELF: a 64-bit ELF file with sections.
	ELF Form = "elf"
	// Multiboot: a 32-bit ELF file that is a 64-bit x86 image, for boot loaders.
	Multiboot Form = "multiboot"
	// LinuxImage: the boot form of arm64.
	LinuxImage Form = "image"
)

// summary is what the index knows of a file.
type summary struct {
	Form Form
	Arch string // as package arch names it
	// Hash is the content hash, "" if the file cannot tell it.
	Hash    string
	BuildID string
	Debug   bool // it has debug information
	// Pages are pages of its code, the first one first.
	Pages []page
	// Loads are where an ELF file without a hash has bytes of memory.
	Loads []load
}

// page is the key of a page of code at a link-time address.
type page struct {
	Addr uint64
	Key  uint64
}

// load is a piece of a file and its link-time address.
type load struct{ Addr, Off, Size uint64 }

const (
	pageSize = 4096
	// samplePages is how many pages of an image the index knows.
	samplePages = 4
	// maxLoads bounds the pieces of a file without sections.
	maxLoads = 16
	// maxNoteBytes bounds a section of notes, in bytes.
	maxNoteBytes = 1 << 20
)

// pageKey is the key of a page.
func pageKey(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

// errNoImage says that a file is none.
var errNoImage = errors.New("no image of a guest")

// summarise reads what it must of a file: its headers, and the read-only sections.
func summarise(r *bounded) (*summary, error) {
	var head [64]byte
	if n, err := r.ReadAt(head[:], 0); n < len(head) {
		if err == io.EOF {
			err = errNoImage
		}
		return nil, err
	}
	switch {
	case string(head[56:60]) == "ARM\x64" && string(head[:4]) != elf.ELFMAG:
		return &summary{Form: LinuxImage, Arch: "arm64"}, nil
	case string(head[:4]) != elf.ELFMAG:
		return nil, errNoImage
	}
	return summariseELF(r)
}

func summariseELF(r *bounded) (*summary, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoImage, err)
	}
	r.left = maxRead
	s := &summary{Form: ELF}
	switch {
	case f.ByteOrder != binary.LittleEndian || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return nil, errNoImage
	case f.Class == elf.ELFCLASS64 && f.Machine == elf.EM_X86_64:
		s.Arch = "x86_64"
	case f.Class == elf.ELFCLASS64 && f.Machine == elf.EM_AARCH64:
		s.Arch = "arm64"
	case f.Class == elf.ELFCLASS32 && f.Machine == elf.EM_386:
		s.Form, s.Arch = Multiboot, "x86_64"
	default:
		return nil, errNoImage
	}
	var code *elf.Section
	var secs []symbolizer.HashedSection
	for _, sec := range f.Sections {
		secs = append(secs, hashed(r, sec))
		if sec.Flags&elf.SHF_EXECINSTR != 0 && sec.Flags&elf.SHF_ALLOC != 0 && sec.Type == elf.SHT_PROGBITS && (code == nil || sec.Size > code.Size) {
			code = sec
		}
		switch {
		case sec.Type == elf.SHT_NOTE && s.BuildID == "" && sec.FileSize <= maxNoteBytes:
			if b, err := io.ReadAll(contentOf(r, sec)); err == nil {
				s.BuildID = buildID(b)
			}
		case (sec.Name == ".debug_info" || sec.Name == ".zdebug_info") && sec.FileSize > 0:
			s.Debug = true
		}
	}
	if s.Hash, err = symbolizer.HashSections(secs); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoImage, err)
	}
	if code == nil {
		if s.Hash != "" || len(f.Sections) > 0 && s.Form == ELF {
			return nil, errNoImage
		}
		return unsectioned(s, f)
	}
	s.Pages, err = pagesOf(contentOf(r, code), code.Addr, code.FileSize)
	return s, err
}

func hashed(r io.ReaderAt, sec *elf.Section) symbolizer.HashedSection {
	h := symbolizer.HashedSection{Type: sec.Type, Flags: sec.Flags, Addr: sec.Addr, Size: sec.Size}
	if sec.Type != elf.SHT_NOBITS {
		h.Content = func(w io.Writer) error {
			n, err := io.Copy(w, contentOf(r, sec))
			if err == nil && uint64(n) != sec.FileSize {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return h
}

// contentOf is what the file holds of a section, as it is there: elf.Section refuses to
// read one that says it is compressed.
func contentOf(r io.ReaderAt, sec *elf.Section) *io.SectionReader {
	return io.NewSectionReader(r, int64(sec.Offset), int64(sec.FileSize))
}

// pagesOf are the first whole page of code and others, spread over it.
func pagesOf(r io.ReaderAt, addr, size uint64) ([]page, error) {
	first := (addr + pageSize - 1) &^ (pageSize - 1)
	if skip := first - addr; first < addr || size < skip+pageSize {
		return nil, nil
	}
	n := (size - (first - addr)) / pageSize
	var out []page
	var buf [pageSize]byte
	for i := range uint64(samplePages) {
		at := first + n*i/samplePages*pageSize
		if _, err := r.ReadAt(buf[:], int64(at-addr)); err != nil {
			return nil, err
		}
		p := page{at, pageKey(buf[:])}
		// A page of one byte is like any other.
		if bytes.Count(buf[:], buf[:1]) != pageSize && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// unsectioned is an ELF file without section headers.
func unsectioned(s *summary, f *elf.File) (*summary, error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Filesz > 0 && len(s.Loads) < maxLoads {
			s.Loads = append(s.Loads, load{p.Vaddr, p.Off, p.Filesz})
		}
	}
	if len(s.Loads) == 0 {
		return nil, errNoImage
	}
	return s, nil
}

// buildID finds the note NT_GNU_BUILD_ID (System V ABI, "Note Section").
func buildID(notes []byte) string {
	for len(notes) >= 12 {
		name, desc := uint64(binary.LittleEndian.Uint32(notes)), uint64(binary.LittleEndian.Uint32(notes[4:]))
		typ := binary.LittleEndian.Uint32(notes[8:])
		body := notes[12:]
		start := (name + 3) &^ 3
		if start+desc > uint64(len(body)) {
			return ""
		}
		if typ == 3 && strings.TrimRight(string(body[:name]), "\x00") == "GNU" && desc <= 64 {
			return hex.EncodeToString(body[start : start+desc])
		}
		notes = body[min((start+desc+3)&^3, uint64(len(body))):]
	}
	return ""
}

// at returns where a file without sections has n bytes of memory at a link-time
// address.
func (s *summary) at(addr, n uint64) (off int64, ok bool) {
	for _, l := range s.Loads {
		if addr >= l.Addr && addr-l.Addr <= l.Size && n <= l.Size-(addr-l.Addr) {
			return int64(l.Off + (addr - l.Addr)), true
		}
	}
	return 0, false
}
