package symbolizer

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
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

// ContentHash returns the SHA-256, in hexadecimal, of the read-only sections in
// guest memory but for notes (a build id changes with the flags of a build): for
// each, by address, its address and size (u64 little-endian)
// and content. It names the program, whatever file holds it and however much
// debug information comes with it.
func (im *Image) ContentHash() string {
	im.hashOnce.Do(func() {
		h := sha256.New()
		for _, s := range im.alloc {
			if !s.ReadOnly() || s.raw == nil || s.Type == elf.SHT_NOTE {
				continue
			}
			var head [16]byte
			binary.LittleEndian.PutUint64(head[:8], s.Addr)
			binary.LittleEndian.PutUint64(head[8:], s.Size)
			h.Write(head[:])
			h.Write(s.raw.bytes())
		}
		im.hash = hex.EncodeToString(h.Sum(nil))
	})
	return im.hash
}
