//go:build !unix

package guard

import (
	"errors"
	"os"
)

// There are no advisory locks, and no guard, on this system: nobody is waited for,
// and what another process left is not touched.
func lock(*os.File) error { return nil }

func tryLock(*os.File) error { return errors.ErrUnsupported }

func removed(*os.File) bool { return false }
