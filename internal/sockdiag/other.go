//go:build !linux

package sockdiag

import "errors"

// TCP is Linux's alone.
func TCP(State, func(TCPSocket)) error { return errors.ErrUnsupported }

// Unix is Linux's alone.
func Unix(func(UnixSocket)) error { return errors.ErrUnsupported }
