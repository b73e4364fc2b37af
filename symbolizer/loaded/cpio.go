package loaded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

// archive is the index of a cpio archive in the "newc" format.
type archive struct {
	file  io.ReaderAt
	files map[string]archived // by path without a slash at its ends
	names []string            // of regular files, in the order of the archive
}

type archived struct {
	mode uint64
	off  int64
	size int64
}

// Limits of an archive.
const (
	maxArchived     = 1 << 20
	maxArchivedName = 4 << 10
	maxArchivedFile = 1 << 30
)

// Bits of a mode (cpio(5)).
const (
	modeType    = 0o170000
	modeRegular = 0o100000
	modeLink    = 0o120000
)

// newcSize is the size of a header: a magic of 6 digits and 13 numbers of 8.
const newcSize = 6 + 13*8

var errCpio = errors.New("not a cpio archive in the newc format (compressed?)")

// readArchive reads the index of the size bytes in r.
func readArchive(r io.ReaderAt, size int64) (*archive, error) {
	a := &archive{file: r, files: map[string]archived{}}
	for at := int64(0); ; {
		head := make([]byte, newcSize)
		if _, err := r.ReadAt(head, at); err != nil {
			if err != io.EOF {
				return nil, err
			}
			return nil, cutAt(at)
		}
		if m := string(head[:6]); m != "070701" && m != "070702" {
			if at == 0 {
				return nil, errCpio
			}
			return nil, fmt.Errorf("damaged cpio archive: no header at offset %d", at)
		}
		mode, err1 := newcField(head, 1)
		length, err2 := newcField(head, 6)
		nameSize, err3 := newcField(head, 11)
		if err := errors.Join(err1, err2, err3); err != nil || nameSize == 0 || nameSize > maxArchivedName {
			return nil, fmt.Errorf("damaged cpio archive: header at offset %d", at)
		}
		name := make([]byte, nameSize)
		if _, err := r.ReadAt(name, at+newcSize); err != nil {
			return nil, cutAt(at)
		}
		text := strings.TrimRight(string(name), "\x00")
		if text == "TRAILER!!!" {
			return a, nil
		}
		body := (at + newcSize + int64(nameSize) + 3) &^ 3
		if body+int64(length) > size {
			return nil, cutAt(at)
		}
		if len(a.files) == maxArchived {
			return nil, errors.New("more files than an initrd has")
		}
		text = cleanPath(text)
		a.files[text] = archived{mode, body, int64(length)}
		if mode&modeType == modeRegular {
			a.names = append(a.names, text)
		}
		at = (body + int64(length) + 3) &^ 3
	}
}

func cutAt(at int64) error {
	return fmt.Errorf("damaged cpio archive: cut off behind offset %d", at)
}

func newcField(head []byte, i int) (uint64, error) {
	return strconv.ParseUint(string(head[6+8*i:][:8]), 16, 32)
}

func cleanPath(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// maxLinks bounds how many links a path leads through.
const maxLinks = 16

// find returns a regular file by its path in the guest, through links.
func (a *archive) find(p string) (archived, bool) {
	parts := strings.Split(cleanPath(p), "/")
	done := ""
	for links := 0; len(parts) > 0; {
		at := path.Join(done, parts[0])
		f, ok := a.files[at]
		if ok && f.mode&modeType == modeLink {
			if links++; links > maxLinks || f.size > maxArchivedName {
				return archived{}, false
			}
			to := make([]byte, f.size)
			if _, err := a.file.ReadAt(to, f.off); err != nil {
				return archived{}, false
			}
			to2 := string(to)
			if !path.IsAbs(to2) {
				to2 = path.Join("/", done, to2)
			}
			parts = append(strings.Split(cleanPath(to2), "/"), parts[1:]...)
			done = ""
			continue
		}
		done, parts = at, parts[1:]
	}
	f, ok := a.files[done]
	return f, ok && f.mode&modeType == modeRegular
}

// content reads a file.
func (a *archive) content(f archived) ([]byte, error) {
	if f.size > maxArchivedFile {
		return nil, fmt.Errorf("a file of %d bytes", f.size)
	}
	b := make([]byte, f.size)
	_, err := a.file.ReadAt(b, f.off)
	return b, err
}

// openArchive opens the archive at a path; it is read as long as f is open.
func openArchive(p string) (*archive, *os.File, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var a *archive
	if err == nil {
		a, err = readArchive(f, st.Size())
	}
	if err != nil {
		f.Close() // the error at hand says more
		return nil, nil, fmt.Errorf("initrd %s: %w", p, err)
	}
	return a, f, nil
}
