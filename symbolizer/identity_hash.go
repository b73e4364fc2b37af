package symbolizer

import (
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
	"slices"
)

// BuildID returns the GNU build id in hexadecimal, "" if the image has none, as
// Unikraft's have not. Take it for a hint: only Prove compares bytes.
func (im *Image) BuildID() string {
	for i := range im.sections {
		// A linker script may put all notes in one section, as Linux' does.
		if s := &im.sections[i]; s.Type == elf.SHT_NOTE && s.Size <= maxNotes {
			if id := im.buildIDNote(s.raw.bytes()); id != "" {
				return id
			}
		}
	}
	return ""
}

// maxNotes bounds a section of notes, in bytes.
const maxNotes = 1 << 20

// buildIDNote finds the note NT_GNU_BUILD_ID of owner "GNU" (System V ABI, "Note
// Section"; its parts are padded to four bytes).
func (im *Image) buildIDNote(notes []byte) string {
	const ntGNUBuildID = 3
	for r := im.numbers(notes, 0); r.Len() > 0; {
		namesz, descsz, typ := uint64(r.U32()), uint64(r.U32()), r.U32()
		name := r.Bytes((namesz + 3) &^ 3)
		desc := r.Bytes(descsz)
		if r.Failed() {
			return ""
		}
		if typ == ntGNUBuildID && namesz == 4 && string(name) == "GNU\x00" {
			return hex.EncodeToString(desc)
		}
		r.Skip(min(-descsz&3, uint64(r.Len())))
	}
	return ""
}

// ContentHash returns the content hash of the image: see HashSections.
func (im *Image) ContentHash() string {
	im.hashOnce.Do(func() {
		secs := make([]HashedSection, 0, len(im.alloc))
		for _, s := range im.alloc {
			h := HashedSection{Type: s.Type, Flags: s.Flags, Addr: s.Addr, Size: s.Size}
			if s.raw != nil {
				h.Content = func(w io.Writer) error {
					_, err := w.Write(s.raw.bytes())
					return err
				}
			}
			secs = append(secs, h)
		}
		im.hash, _ = HashSections(secs) // what is in memory does not fail
	})
	return im.hash
}

// HashedSection is a section as HashSections sees it.
type HashedSection struct {
	Type  elf.SectionType
	Flags elf.SectionFlag
	// Addr is the link-time address, Size the size in guest memory, in bytes.
	Addr, Size uint64
	// Content writes what the file holds of it, nil if it holds nothing.
	Content func(w io.Writer) error
}

// counts reports whether a section is part of the content hash.
func (s *HashedSection) counts() bool {
	return s.Flags&elf.SHF_ALLOC != 0 && s.Flags&(elf.SHF_WRITE|elf.SHF_TLS) == 0 && s.Size > 0 &&
		s.Content != nil && s.Type != elf.SHT_NOTE && s.Type != elf.SHT_NOBITS
}

// HashSections returns the content hash of an image with these sections: the
// SHA-256, in hexadecimal, of its read-only sections in guest memory but for notes
// (a build id changes with the flags of a build): for each, by address, its address
// and size (u64 little-endian) and content. It names the program, whatever file
// holds it and however much debug information comes with it. It is "" where no
// section counts, as of a file of debug information alone.
//
// The error is that of a Content.
func HashSections(secs []HashedSection) (string, error) {
	secs = slices.DeleteFunc(slices.Clone(secs), func(s HashedSection) bool { return !s.counts() })
	slices.SortStableFunc(secs, func(a, b HashedSection) int { return cmp.Compare(a.Addr, b.Addr) })
	if len(secs) == 0 {
		return "", nil
	}
	h := sha256.New()
	for _, s := range secs {
		var head [16]byte
		binary.LittleEndian.PutUint64(head[:8], s.Addr)
		binary.LittleEndian.PutUint64(head[8:], s.Size)
		h.Write(head[:])
		if err := s.Content(h); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
