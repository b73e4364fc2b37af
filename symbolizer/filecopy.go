package symbolizer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxInMemory bounds a copy that is made in memory, in bytes.
const maxInMemory = 64 << 20

// openCopy prepares to read a copy of a regular file, made in dir without a name.
func openCopy(path, dir string) (*file, error) {
	src, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe
	if err != nil {
		return nil, err
	}
	defer src.Close()
	before, err := src.Stat()
	if err == nil && !before.Mode().IsRegular() {
		err = &FormatError{path, "not a regular file"}
	}
	if err != nil {
		return nil, err
	}
	out, err := copyTo(dir, path, src, before.Size())
	if err != nil && before.Size() <= maxInMemory {
		data := make([]byte, before.Size())
		if _, rerr := src.ReadAt(data, 0); rerr != nil && (rerr != io.EOF || len(data) > 0) {
			return nil, errors.Join(fmt.Errorf("copying %s: %w", path, err), rerr)
		}
		out, err = &file{data: data, size: before.Size()}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("copying %s: %w", path, err)
	}
	after, err := src.Stat()
	if err == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
		err = fmt.Errorf("%s changed while it was copied: open it again", path)
	}
	if err != nil {
		return nil, errors.Join(err, out.close())
	}
	return out, nil
}

func copyTo(dir, path string, src io.Reader, size int64) (*file, error) {
	dst, err := os.CreateTemp(dir, "image-*.tmp")
	if err != nil {
		return nil, err
	}
	err = os.Remove(dst.Name())
	var n int64
	if err == nil {
		n, err = io.Copy(dst, io.LimitReader(src, size))
	}
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	var out *file
	if err == nil {
		out, err = mapFile(path, dst)
	}
	if err != nil {
		dst.Close() // the error at hand says more
		return nil, err
	}
	return out, nil
}
