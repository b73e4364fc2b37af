package corefile

import "errors"

// ErrFormat says that a file is no dump this package reads. The error that wraps
// it says what the file seems to be.
var ErrFormat = errors.New("not a memory dump ukdbg reads")

// ErrTooLarge says that a compressed dump unpacks to more than MaxUnpacked.
var ErrTooLarge = errors.New("the unpacked dump is too large; unpack it to a file first")
