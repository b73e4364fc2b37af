//go:build !unix

package symbolizer

import (
	"errors"
	"os"
)

// mapFile is not used here; the caller reads the file.
func mapFile(*os.File, int64) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}
