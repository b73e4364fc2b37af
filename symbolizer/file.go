package symbolizer

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// file is the bytes of an image file. They are mapped: most sections of an image
// are never looked at, and of the others only pieces.
type file struct {
	data   []byte   // as long as the file; what fill read is in place
	mapped bool     // data is a mapping, so all of it is in place
	f      *os.File // nil if data is complete
	size   int64
	time   time.Time
	// inflated counts the bytes its compressed sections claim.
	inflated atomic.Uint64
}

// openFile prepares to read a regular file.
func openFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe would be waited for
	if err != nil {
		return nil, err
	}
	out, err := mapFile(path, f)
	if err != nil {
		f.Close() // the error at hand says more
		return nil, err
	}
	return out, nil
}

func mapFile(path string, f *os.File) (*file, error) {
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &FormatError{path, "not a regular file"}
	}
	if err == nil && st.Size() != int64(int(st.Size())) {
		err = &FormatError{path, "too big for this machine"}
	}
	if err != nil {
		return nil, err
	}
	out := &file{f: f, size: st.Size(), time: st.ModTime()}
	if st.Size() > 0 {
		out.data, err = mmap(f, int(st.Size()))
		out.mapped = err == nil
	}
	if !out.mapped {
		// Some file systems map nothing. Fresh memory costs nothing until it is
		// filled.
		out.data = make([]byte, st.Size())
	}
	return out, nil
}

// fill makes n bytes at off readable, cut at the end of the file. A file that changed
// since it was opened is not read on: its parts would not fit together.
func (f *file) fill(off, n uint64) error {
	end := uint64(len(f.data))
	if f.f == nil || off >= end || n == 0 {
		return nil
	}
	if !f.mapped {
		p := f.data[off:min(end, off+min(n, end))]
		if _, err := f.f.ReadAt(p, int64(off)); err != nil && err != io.EOF {
			return err
		}
	}
	st, err := f.f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != f.size || !st.ModTime().Equal(f.time) {
		return fmt.Errorf("%s changed while it was open: open it again", f.f.Name())
	}
	return nil
}

func (f *file) close() error {
	if f.f == nil {
		return nil
	}
	if f.mapped {
		_ = munmap(f.data) // fails only for what is no mapping
		f.data, f.mapped = nil, false
	}
	return f.f.Close()
}

// lazy is the content of a section in the file.
type lazy struct {
	once sync.Once
	file *file
	off  uint64
	size uint64
	err  error
}

// bytes reads the content when first asked for; nil if the section has none or
// it cannot be read, which err then tells.
func (l *lazy) bytes() []byte {
	if l == nil {
		return nil
	}
	l.once.Do(func() { l.err = l.file.fill(l.off, l.size) })
	if l.err != nil || l.off+l.size > uint64(len(l.file.data)) { // closed
		return nil
	}
	return l.file.data[l.off : l.off+l.size : l.off+l.size]
}

// length is the size in the file, in bytes, without reading it.
func (l *lazy) length() uint64 {
	if l == nil {
		return 0
	}
	return l.size
}
