//go:build !unix

package hosts

import "errors"

// There is no VMM to be seen on this system, whose files could be asked for.
func mayReadWrite(string) error { return errors.ErrUnsupported }

func readable(string) bool { return false }
