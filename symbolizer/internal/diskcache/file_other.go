//go:build !unix

package diskcache

import (
	"errors"
	"os"
)

const noLink = 0

func mapFile(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte) error { return nil }
