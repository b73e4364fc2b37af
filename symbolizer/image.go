package symbolizer

import (
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Image is an opened ELF image of a guest. Its methods may be called from many
// goroutines. Addresses are link-time addresses.
type Image struct {
	// Path is the file as it was given to Open.
	Path string

	file    *file
	arch    *arch.Arch
	machine elf.Machine
	// bigEndian: numbers in the file are.
	bigEndian bool
	part      bool // holds debug information of an image, and is none itself
	elfType   elf.Type
	entry     uint64
	sections  []Section
	segments  []Segment
	alloc     []*Section // in memory, by address

	contents   sync.Map // section name → []byte, decompressed
	symbolOnce sync.Once
	symtab     symbolTable
	// symbolsRead: symtab is complete. lookups counts those that did without.
	symbolsRead atomic.Bool
	lookups     atomic.Int32
	hashOnce    sync.Once
	hash        string
	debug       debugData
	info        debugInfo
	demangled   sync.Map // linkage name → string
	cfi         cfiData
	tails       tailCalls
	apart       separate
	cache       imageCache
	headers     []byte // the ELF header and the section headers
	splits      splitFiles
}

// OpenOptions say how an image is opened.
type OpenOptions struct {
	// Debug finds the debug information of an image that has none itself, and
	// the file that dwz put shared entries in; nil looks nowhere.
	Debug *debugfile.Finder
	// Stripped takes an image without any names too: for its call frame
	// information.
	Stripped bool
	// Private maps a copy of the file, which others can neither change nor cut:
	// reading a mapping of a file that was cut kills the process. It is for
	// processes that go on for long. The copy has no name; it is made in this
	// folder, or, where that cannot be, in memory, if it is small.
	Private string
}

// Open opens the image at path. The error is a *WrapperError for a bootable
// file without symbols, wraps ErrStripped for one without any, and is a
// *FormatError for what is no readable image. An image without DWARF opens;
// HasDWARF tells. Debug information apart from the image is not looked for.
func Open(path string) (*Image, error) {
	return OpenWith(context.Background(), path, OpenOptions{})
}

// OpenWith is Open with options. The context ends the search for debug files.
func OpenWith(ctx context.Context, path string, opt OpenOptions) (*Image, error) {
	open := openFile
	if opt.Private != "" {
		open = func(path string) (*file, error) { return openCopy(path, opt.Private) }
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	im, err := newImage(ctx, path, f, opt)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return im, nil
}

// OpenBytes opens an image that is already in memory; path names it in
// messages. data must not change afterwards.
func OpenBytes(path string, data []byte) (*Image, error) {
	return OpenBytesWith(context.Background(), path, data, OpenOptions{})
}

// OpenBytesWith is OpenBytes with options. The context ends the search for debug
// files.
func OpenBytesWith(ctx context.Context, path string, data []byte, opt OpenOptions) (*Image, error) {
	return newImage(ctx, path, &file{data: data}, opt)
}

func newImage(ctx context.Context, path string, f *file, opt OpenOptions) (*Image, error) {
	im := &Image{Path: path, file: f}
	if err := im.parseELF(); err != nil {
		return nil, err
	}
	for i := range im.sections {
		if s := &im.sections[i]; s.Alloc() && s.Size > 0 && s.Flags&elf.SHF_TLS == 0 {
			im.alloc = append(im.alloc, s)
		}
	}
	slices.SortStableFunc(im.alloc, func(a, b *Section) int { return cmp.Compare(a.Addr, b.Addr) })
	if opt.Debug != nil {
		if err := im.findSeparate(ctx, opt.Debug); err != nil {
			return nil, err
		}
	}
	if !im.HasDWARF() && !im.hasSymbols() && !opt.Stripped {
		if im.apart.missing != nil {
			return nil, fmt.Errorf("%s: %w; %w", path, ErrStripped, im.apart.missing)
		}
		return nil, fmt.Errorf("%s: %w", path, ErrStripped)
	}
	return im, nil
}

// Close closes the file. Bytes got from the image, which are the file's own, must
// not be used afterwards; names and the like are copies. What a cache is to keep is
// written first (UseCache).
func (im *Image) Close() error {
	im.cache.close()
	err := errors.Join(im.file.close(), im.splits.close())
	for _, other := range []*Image{im.apart.file, im.apart.alt} {
		if other != nil {
			err = errors.Join(err, other.Close())
		}
	}
	return err
}

// Arch is the architecture of the image.
func (im *Image) Arch() *arch.Arch { return im.arch }

// BigEndian reports whether numbers in the image are big-endian. Such an image
// can be symbolized and not debugged.
func (im *Image) BigEndian() bool { return im.bigEndian }

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
	// Written out: every step of an unwinder comes here several times.
	low, i := 0, len(im.alloc)
	for low < i {
		if k := int(uint(low+i) / 2); im.alloc[k].Addr <= addr {
			low = k + 1
		} else {
			i = k
		}
	}
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
	if uint64(n) > s.raw.length()-off {
		return nil, false
	}
	all := s.raw.bytes()
	if all == nil {
		return nil, false
	}
	return all[off : off+uint64(n) : off+uint64(n)], true
}
