//go:build unix

package diskcache

import (
	"os"
	"syscall"
)

// noLink opens neither through a link nor waits for the other end of a pipe.
const noLink = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func mapFile(f *os.File, size int) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_PRIVATE)
}

func unmap(data []byte) error { return syscall.Munmap(data) }
