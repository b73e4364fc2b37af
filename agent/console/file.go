package console

import (
	"fmt"
	"os"
	"syscall"
	"time"
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
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, fileState{}, err
	}
	st, err := stateOf(f)
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
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{}, fmt.Errorf("%s: this system does not tell which file it is", path)
	}
	return fileState{id: fileID{uint64(sys.Dev), uint64(sys.Ino)}, uid: sys.Uid, size: info.Size(), mtime: info.ModTime()}, nil
}
