package symbolizer

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// BuildID returns the GNU build id in hexadecimal, "" if the image has none, as
// Unikraft's have not. Take it for a hint: only Prove compares bytes.
func (im *Image) BuildID() string {
	const ntGNUBuildID = 3
	for i := range im.sections {
		s := &im.sections[i]
		if s.Type != elf.SHT_NOTE || s.Name != ".note.gnu.build-id" {
			continue
		}
		r := dwbuf.New(s.raw.bytes(), 0)
		namesz, descsz, typ := r.U32(), r.U32(), r.U32()
		name := r.Bytes((uint64(namesz) + 3) &^ 3)
		desc := r.Bytes(uint64(descsz))
		if !r.Failed() && typ == ntGNUBuildID && namesz == 4 && string(name) == "GNU\x00" {
			return hex.EncodeToString(desc)
		}
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
