package imageindex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// fileID names the content of a file, without reading it: another file, and the same
// one when it was written again, has another.
type fileID struct {
	Dev, Ino uint64
	Size     int64
	Time     int64 // of the last change of its content, Unix, in ns
}

func idOf(st os.FileInfo) fileID {
	id := fileID{Size: st.Size(), Time: st.ModTime().UnixNano()}
	if n, ok := inode.Of(st); ok {
		id.Dev, id.Ino = n.Dev, n.Ino
	}
	return id
}

// openRegular opens a regular file; a pipe or a device in its place cannot hold it
// up.
func openRegular(path string) (*os.File, fileID, error) {
	f, st, err := inode.Open(path)
	if err != nil {
		return nil, fileID{}, err
	}
	return f, idOf(st), nil
}

// summariseFile is summarise for the file at path.
func summariseFile(ctx context.Context, path string) (*summary, fileID, error) {
	f, id, err := openRegular(path)
	if err != nil {
		return nil, id, err
	}
	defer f.Close()
	s, err := summarise(&bounded{ctx, f, maxHeaders})
	if err != nil {
		return nil, id, fmt.Errorf("%s: %w", path, err)
	}
	return s, id, nil
}

// bounded reads at most so many bytes, until the context ends.
type bounded struct {
	ctx  context.Context
	r    io.ReaderAt
	left int64
}

var errTooMuch = errors.New("too big, or made to be read again and again")

func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooMuch
	}
	return b.r.ReadAt(p, off)
}
