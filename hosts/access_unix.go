//go:build unix

package hosts

import "syscall"

// Of access(2).
const (
	readOK  = 4
	writeOK = 2
)

// mayReadWrite says why this user may not read and write a file, nil if it may.
func mayReadWrite(path string) error { return syscall.Access(path, readOK|writeOK) }

func readable(path string) bool { return syscall.Access(path, readOK) == nil }
