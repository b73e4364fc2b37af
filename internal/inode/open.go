package inode

import (
	"fmt"
	"os"
)

// Open opens a regular file to be read. A pipe or a device in its place neither
// holds it up nor becomes this process's terminal: it is an error.
func Open(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|atOnce, 0)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file (%s)", path, st.Mode().Type())
	}
	if err != nil {
		f.Close() // the error at hand says more
		return nil, nil, err
	}
	return f, st, nil
}
