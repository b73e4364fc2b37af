package console

import (
	"fmt"
	"os"
	"time"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// fileID names a file as long as it exists.
type fileID struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

// fileState is what stat(2) tells of a log.
type fileState struct {
	id    fileID
	uid   uint32
	size  int64
	mtime time.Time
}

// openLog opens a regular file, and nothing that would block or act on being
// opened.
func openLog(path string) (*os.File, fileState, error) {
	f, info, err := inode.Open(path)
	if err != nil {
		return nil, fileState{}, err
	}
	st, err := fromInfo(info, path)
	if err != nil {
		f.Close()
		return nil, fileState{}, err
	}
	return f, st, nil
}

func stateOf(f *os.File) (fileState, error) {
	info, err := f.Stat()
	if err != nil {
		return fileState{}, err
	}
	return fromInfo(info, f.Name())
}

// statLog looks at a path without opening it.
func statLog(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	return fromInfo(info, path)
}

func fromInfo(info os.FileInfo, path string) (fileState, error) {
	if !info.Mode().IsRegular() {
		return fileState{}, fmt.Errorf("%s is no regular file (%s)", path, info.Mode().Type())
	}
	n, ok := inode.Of(info)
	if !ok {
		return fileState{}, fmt.Errorf("%s: this system does not tell which file it is", path)
	}
	return fileState{id: fileID{n.Dev, n.Ino}, uid: uint32(n.UID), size: info.Size(), mtime: info.ModTime()}, nil
}
