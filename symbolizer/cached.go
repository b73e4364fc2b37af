package symbolizer

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ukdbg/ukdbg/symbolizer/internal/diskcache"
)

// imageCache is what is kept of the image on disk.
type imageCache struct {
	dir  string
	once sync.Once
	kept atomic.Pointer[diskcache.Cache] // nil without a cache
	memo *Memo                           // nil without one
}

// UseCache makes the image keep in the folder dir what was made of it at some
// cost, for the next process. It must be called before the image is used. Nothing
// is said of a folder that cannot be read or written: the cache is only empty.
func (im *Image) UseCache(dir string) { im.cache.dir = dir }

func (im *Image) kept() *diskcache.Cache {
	c := &im.cache
	c.once.Do(func() {
		if c.dir == "" {
			return
		}
		if key, ok := im.contentKey(); ok {
			c.kept.Store(diskcache.Dir{Path: c.dir}.Open(key))
		}
	})
	return c.kept.Load()
}

// Cached returns what another process kept of this image under a name, which
// carries the version of its form; nil if there is nothing. It is mapped: it
// must not be changed, nor used after Close. It belongs to this content, but is
// as untrusted as the image.
func (im *Image) Cached(name string) []byte {
	if m := im.cache.memo; m != nil {
		if b := m.get(name); b != nil {
			return b
		}
	}
	if c := im.kept(); c != nil {
		return c.Get(name)
	}
	return nil
}

// Keep offers something to be found by Cached later. It is made when the cache
// is saved; produce may return nil.
func (im *Image) Keep(name string, produce func() []byte) {
	if m := im.cache.memo; m != nil {
		m.offer(name, produce)
	}
	if c := im.kept(); c != nil {
		c.Offer(name, produce)
	}
}

// SaveCache makes and writes what Keep was offered, when there is time for it; at
// the latest Close does. An error says why nothing was kept, which does no harm.
func (im *Image) SaveCache() error {
	if c := im.cache.kept.Load(); c != nil {
		return c.Flush()
	}
	return nil
}

func (c *imageCache) close() {
	if kept := c.kept.Load(); kept != nil {
		_ = kept.Close() // a cache may fail
	}
}

// CacheStatus is what a cache folder holds: its path, how many files and bytes, and
// why nothing can be written, if so.
type CacheStatus = diskcache.Status

// CacheStatusOf looks at a cache folder, and tries to write to it.
func CacheStatusOf(dir string) CacheStatus { return diskcache.Dir{Path: dir}.Status() }

// keyed reports whether kept values are made of a section: the symbol table, its
// strings, and the debugging entries with what they refer to.
func keyed(s *Section) bool {
	switch s.Type {
	case elf.SHT_SYMTAB, elf.SHT_DYNSYM, elf.SHT_STRTAB:
		return true
	}
	name, ok := strings.CutPrefix(s.Name, ".debug_")
	if !ok {
		name, ok = strings.CutPrefix(s.Name, ".zdebug_")
	}
	switch name {
	case "info", "types", "abbrev", "str", "line_str", "str_offsets", "addr", "ranges", "rnglists", "aranges":
		return ok
	}
	return false
}

// Sizes of what goes into a key: the content is summed up in chunks; beyond
// wholeKey bytes of it a build id is needed, and one chunk of keySample taken.
const (
	keyChunk  = 64 << 10
	wholeKey  = 128 << 20
	keySample = 32
)

// contentKey names the content kept values are made of: the SHA-256 of the build
// id, and of the image and each file with debug information apart from it the
// ELF header, the section headers and the sections that keyed tells, by the CRC-32
// of each 64 KiB. Time and place of the files are not in it. A linker's build id is
// a digest of all content itself; files above 128 MiB of such sections have a key
// only with one, and of their content each 32nd chunk is taken, which tells tools
// apart that changed the file afterwards.
//
// A changed chunk goes unnoticed once in four billion times, and one changed in
// up to 32 bits in a row never (CRC-32 finds all bursts up to its width).
func (im *Image) contentKey() (key diskcache.Key, ok bool) {
	var parts [][]byte
	total := 0
	for _, file := range []*Image{im, im.apart.file, im.apart.alt} {
		if file == nil {
			continue
		}
		parts = append(parts, file.headers)
		for i := range file.sections {
			sec := &file.sections[i]
			if !keyed(sec) {
				continue
			}
			b := sec.raw.bytes()
			if uint64(len(b)) != sec.raw.length() {
				return key, false
			}
			parts = append(parts, b)
			total += len(b)
		}
	}
	id, step := im.BuildID(), 1
	if total > wholeKey {
		if id == "" {
			return key, false
		}
		step = keySample
	}
	h := sha256.New()
	h.Write([]byte("ukdbg image key 1\x00" + id))
	for _, b := range parts {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
		sumChunks(h, b, step)
	}
	return diskcache.Key(h.Sum(nil)), true
}

// sumChunks adds the checksum of each step'th chunk of b, and of the last one.
func sumChunks(h hash.Hash, b []byte, step int) {
	var sum [4]byte
	for i := 0; i*keyChunk < len(b); i++ {
		last := (i+1)*keyChunk >= len(b)
		if i%step != 0 && !last {
			continue
		}
		chunk := b[i*keyChunk:]
		if !last {
			chunk = chunk[:keyChunk]
		}
		binary.LittleEndian.PutUint32(sum[:], crc32.ChecksumIEEE(chunk))
		h.Write(sum[:])
	}
}
