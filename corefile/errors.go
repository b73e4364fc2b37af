package corefile

import (
	"errors"
	"fmt"
)

// ErrFormat says that a file is no dump this package reads. The error that wraps
// it says what the file seems to be and what to do.
var ErrFormat = errors.New("not a memory dump ukdbg reads")

// ErrTooLarge says that a compressed dump unpacks to more than MaxUnpacked.
var ErrTooLarge = errors.New("the unpacked dump is too large; unpack it to a file first")

// errIO marks failures of the disk, which are no holes.
var errIO = errors.New("reading the dump file")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}
