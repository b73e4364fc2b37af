//go:build !unix

package symbolizer

import (
	"errors"
	"os"
)

// mmap maps nothing here: what is needed of a file is read.
func mmap(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func munmap([]byte) error { return nil }
