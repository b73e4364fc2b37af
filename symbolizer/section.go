package symbolizer

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// What the sections of a file may take in all when decompressed, in bytes: a few
// for each of the file. Debug information shrinks to a third or a fifth; what
// shrinks to less than a thirtieth is made to fill memory.
const (
	inflateFloor = 32 << 20
	inflateRatio = 32
	// maxSection bounds one section, whatever the file's size.
	maxSection = 16 << 30
)

// Section returns the content of the first section called name, decompressed,
// or nil when there is none, it is empty in the file, or it is damaged;
// SectionData tells which. The bytes must not be changed.
func (im *Image) Section(name string) []byte {
	b, _ := im.SectionData(name)
	return b
}

// SectionData is Section with the error of a section that cannot be
// decompressed. A section that is not there is nil without error. For a name
// .debug_X the old compressed form .zdebug_X is found too.
func (im *Image) SectionData(name string) ([]byte, error) {
	v, ok := im.contents.Load(name)
	if !ok {
		s := im.sectionNamed(name)
		if s == nil {
			return nil, nil
		}
		v, _ = im.contents.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
			b, err := s.decompress(im.bigEndian)
			if err != nil {
				err = &FormatError{im.Path, fmt.Sprintf("section %s: %v", name, err)}
			}
			return b, err
		}))
	}
	return v.(func() ([]byte, error))()
}

func (im *Image) sectionNamed(name string) *Section {
	for i := range im.sections {
		if im.sections[i].Name == name {
			return &im.sections[i]
		}
	}
	if rest, ok := strings.CutPrefix(name, ".debug_"); ok {
		for i := range im.sections {
			if im.sections[i].Name == ".zdebug_"+rest {
				return &im.sections[i]
			}
		}
	}
	if im.apart.file != nil && apartName(name) {
		return im.apart.file.sectionNamed(name)
	}
	return nil
}

// decompress returns the content: as it is, or inflated by its compression
// header (System V ABI, "Section Compression"), or the GNU .zdebug form, "ZLIB"
// and a big-endian size.
func (s *Section) decompress(bigEndian bool) ([]byte, error) {
	raw := s.raw.bytes()
	if s.raw != nil && s.raw.err != nil {
		return nil, s.raw.err
	}
	if s.Flags&elf.SHF_COMPRESSED != 0 {
		r := dwbuf.NewOrder(raw, 0, bigEndian)
		kind := elf.CompressionType(r.U32())
		r.Skip(4)
		size := r.U64()
		r.Skip(8)
		if r.Failed() {
			return nil, fmt.Errorf("compression header is cut off")
		}
		return s.raw.file.inflate(kind, raw[24:], size)
	}
	if strings.HasPrefix(s.Name, ".zdebug_") && len(raw) >= 12 && string(raw[:4]) == "ZLIB" {
		var size uint64
		for _, c := range raw[4:12] {
			size = size<<8 | uint64(c)
		}
		return s.raw.file.inflate(elf.COMPRESS_ZLIB, raw[12:], size)
	}
	return raw, nil
}

// inflate decompresses src to exactly size bytes. It allocates as data comes,
// so a false size costs nothing.
func (f *file) inflate(kind elf.CompressionType, src []byte, size uint64) ([]byte, error) {
	limit := inflateFloor + inflateRatio*uint64(len(f.data))
	if size > maxSection || f.inflated.Add(min(size, maxSection)) > limit {
		return nil, fmt.Errorf("claims %d bytes decompressed, with the sections before it more than the limit of %d for this file", size, limit)
	}
	var in io.Reader
	switch kind {
	case elf.COMPRESS_ZLIB:
		z, err := zlib.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		in = z
	case elf.COMPRESS_ZSTD:
		z, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(8<<20, size)), zstd.WithDecoderMaxWindow(max(8<<20, min(128<<20, size))))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = z
	default:
		return nil, fmt.Errorf("compressed with unknown method %d", uint32(kind))
	}
	var out bytes.Buffer
	out.Grow(int(min(size, 8*uint64(len(src))+1<<16)))
	n, err := io.Copy(&out, io.LimitReader(in, int64(size)+1))
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	if uint64(n) != size {
		return nil, fmt.Errorf("does not decompress to the %d bytes its header says", size)
	}
	return out.Bytes(), nil
}
