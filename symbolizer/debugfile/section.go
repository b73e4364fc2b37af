package debugfile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// ErrDamaged says that the content of a section that names a debug file is not
// what it has to be.
var ErrDamaged = errors.New("damaged link to a debug file")

// maxName bounds the name of a file in a link, in bytes.
const maxName = 4096

// ParseLink reads .gnu_debuglink: a file name without folders, NUL, zeros up to
// a multiple of four bytes, and the CRC-32 of the whole file in the byte order of
// the image.
func ParseLink(section []byte, bigEndian bool) (name string, crc uint32, err error) {
	n := bytes.IndexByte(section, 0)
	if n <= 0 || n > maxName {
		return "", 0, ErrDamaged
	}
	name = string(section[:n])
	if strings.ContainsRune(name, '/') || name == "." || name == ".." || !Printable(name) {
		return "", 0, ErrDamaged
	}
	r := dwbuf.NewOrder(section, (uint64(n)+4)&^3, bigEndian)
	crc = r.U32()
	if r.Failed() {
		return "", 0, ErrDamaged
	}
	return name, crc, nil
}

// ParseAltLink reads .gnu_debugaltlink: a path, NUL, and the build id of the
// file, which is returned in hexadecimal.
func ParseAltLink(section []byte) (path, buildID string, err error) {
	n := bytes.IndexByte(section, 0)
	if n <= 0 || n > maxName || !plausibleID(section[n+1:]) || !Printable(string(section[:n])) {
		return "", "", ErrDamaged
	}
	return string(section[:n]), hex.EncodeToString(section[n+1:]), nil
}

// ParseSup reads .debug_sup (DWARF 5, section 7.3.6), which tells the same as
// .gnu_debugaltlink: version, whether this is the supplementary file itself, the
// path of the other, and a checksum, which is returned in hexadecimal and is a
// build id in practice.
func ParseSup(section []byte, bigEndian bool) (path, sum string, err error) {
	r := dwbuf.NewOrder(section, 0, bigEndian)
	version, self := r.U16(), r.U8()
	name := r.CString()
	id := r.Bytes(r.Uleb())
	if r.Failed() || version != 5 || self != 0 || len(name) == 0 || len(name) > maxName || !plausibleID(id) || !Printable(string(name)) {
		return "", "", ErrDamaged
	}
	return string(name), hex.EncodeToString(id), nil
}

// Printable reports whether a name from a file can be shown on a terminal as it
// is. No compiler or linker writes another, and nothing is opened under one.
func Printable(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// plausibleID: build ids are hashes; the shortest in use has 8 bytes (lld's
// --build-id=fast), and a linker takes any of up to some dozen.
func plausibleID(id []byte) bool { return len(id) >= 4 && len(id) <= 64 }

// ParseOwnSup returns the checksum of a supplementary file's own .debug_sup in
// hexadecimal, "" if it has none.
func ParseOwnSup(section []byte, bigEndian bool) string {
	r := dwbuf.NewOrder(section, 0, bigEndian)
	version, self := r.U16(), r.U8()
	r.CString()
	id := r.Bytes(r.Uleb())
	if r.Failed() || version != 5 || self != 1 || !plausibleID(id) {
		return ""
	}
	return hex.EncodeToString(id)
}
