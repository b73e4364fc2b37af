package symbolizer

import (
	"bytes"
	"io"
)

// SameFile reports whether two images may stand for each other: their files have
// the same bytes, and all that is known of them is in these. It is false where debug
// information lies apart, which each may find elsewhere. The files are read through
// and not mapped, so that none of it stays in memory.
func (im *Image) SameFile(o *Image) bool {
	if im.file.size != o.file.size || im.hasApart() || o.hasApart() {
		return false
	}
	const chunk = 256 << 10
	a, b := make([]byte, chunk), make([]byte, chunk)
	for off := int64(0); off < im.file.size; off += chunk {
		n, err := im.file.readAt(a, off)
		if err != nil && err != io.EOF {
			return false
		}
		k, err := o.file.readAt(b, off)
		if err != nil && err != io.EOF || !bytes.Equal(a[:n], b[:k]) || off+int64(n) < min(im.file.size, off+chunk) {
			return false
		}
	}
	// A file that changed since it was opened is not what was read of it.
	return im.file.fill(0, 1) == nil && o.file.fill(0, 1) == nil
}

// hasApart reports whether debug information lies, or ought to lie, in other files.
func (im *Image) hasApart() bool {
	if im.apart.file != nil || im.apart.alt != nil || im.apart.missing != nil {
		return true
	}
	// What refers to .dwo files has its addresses in a section of their own (DWARF 5,
	// section 7.3.2), as little else.
	return im.sectionNamed(".debug_addr") != nil
}

// readAt reads the file and not its mapping.
func (f *file) readAt(p []byte, off int64) (int, error) {
	if f.f == nil {
		return copy(p, f.data[off:]), nil
	}
	return f.f.ReadAt(p, off)
}
