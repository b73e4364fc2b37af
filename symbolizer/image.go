package symbolizer

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Image is an opened ELF image of a guest. Its methods may be called from many
// goroutines. Addresses are link-time addresses.
type Image struct {
	// Path is the file as it was given to Open.
	Path string

	data     []byte // the whole file
	unmap    func() error
	arch     *arch.Arch
	elfType  elf.Type
	entry    uint64
	sections []Section
	segments []Segment
	alloc    []*Section // in memory, by address

	contents   sync.Map // section name → []byte, decompressed
	symbolOnce sync.Once
	symtab     symbolTable
	hashOnce   sync.Once
	hash       string
	debug      debugData
	info       debugInfo
	demangled  sync.Map // linkage name → string
	cfi        cfiData
	tails      tailCalls
}

// mapAbove is the file size from which a file is mapped and not read. A small
// file is read because reading is as fast, and because a build that rewrites
// the file during a session must not change it under us.
const mapAbove = 32 << 20

// Open opens the image at path. The error is a *WrapperError for a bootable
// file without symbols, wraps ErrStripped for one without any, and is a
// *FormatError for what is no readable image. An image without DWARF opens;
// HasDWARF tells.
func Open(path string) (*Image, error) {
	data, unmap, err := readFile(path)
	if err != nil {
		return nil, err
	}
	im, err := newImage(path, data)
	if err != nil {
		return nil, errors.Join(err, unmap())
	}
	im.unmap = unmap
	return im, nil
}

// OpenBytes opens an image that is already in memory; path names it in
// messages. data must not change afterwards.
func OpenBytes(path string, data []byte) (*Image, error) { return newImage(path, data) }

func readFile(path string) (data []byte, unmap func() error, err error) {
	nothing := func() error { return nil }
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, nil, &FormatError{path, "not a regular file"}
	}
	if st.Size() >= mapAbove {
		data, unmap, err = mapFile(f, st.Size())
		if err == nil {
			return data, unmap, nil
		}
	}
	data, err = os.ReadFile(path)
	return data, nothing, err
}

func newImage(path string, data []byte) (*Image, error) {
	im := &Image{Path: path, data: data}
	if err := im.parseELF(); err != nil {
		return nil, err
	}
	for i := range im.sections {
		if s := &im.sections[i]; s.Alloc() && s.Size > 0 && s.Flags&elf.SHF_TLS == 0 {
			im.alloc = append(im.alloc, s)
		}
	}
	slices.SortStableFunc(im.alloc, func(a, b *Section) int { return cmp.Compare(a.Addr, b.Addr) })
	if !im.HasDWARF() && !im.hasSymbols() {
		return nil, fmt.Errorf("%s: %w", path, ErrStripped)
	}
	return im, nil
}

// Close gives back the mapped file. Bytes returned earlier must not be used
// afterwards.
func (im *Image) Close() error {
	if im.unmap == nil {
		return nil
	}
	return im.unmap()
}

// Arch is the architecture of the image.
func (im *Image) Arch() *arch.Arch { return im.arch }

// Entry is the link-time address of the entry point.
func (im *Image) Entry() uint64 { return im.entry }

// Relocatable reports whether the image may be loaded with a slide (ET_DYN).
func (im *Image) Relocatable() bool { return im.elfType == elf.ET_DYN }

// Sections lists all sections in the order of the file.
func (im *Image) Sections() []Section { return im.sections }

// Segments lists the loadable segments in the order of the file.
func (im *Image) Segments() []Segment { return im.segments }

// SectionAt returns the section in guest memory that holds addr.
func (im *Image) SectionAt(addr uint64) (Section, bool) {
	if s := im.sectionAt(addr); s != nil {
		return *s, true
	}
	return Section{}, false
}

func (im *Image) sectionAt(addr uint64) *Section {
	i, _ := slices.BinarySearchFunc(im.alloc, addr, func(s *Section, a uint64) int {
		if s.Addr <= a {
			return -1
		}
		return 1
	})
	// Sections of a well-made image do not overlap; look a few back anyway,
	// because some linker scripts leave one inside another.
	for k := i - 1; k >= 0 && k >= i-4; k-- {
		if im.alloc[k].contains(addr) {
			return im.alloc[k]
		}
	}
	return nil
}

// Data returns the n bytes that the image holds for addr, not copied. ok is
// false where the file has no such bytes: outside, in .bss, or across the end
// of a section.
func (im *Image) Data(addr uint64, n int) (b []byte, ok bool) {
	s := im.sectionAt(addr)
	if s == nil || n < 0 || s.raw == nil || s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil, false
	}
	off := addr - s.Addr
	if uint64(n) > uint64(len(s.raw))-off {
		return nil, false
	}
	return s.raw[off : off+uint64(n) : off+uint64(n)], true
}
