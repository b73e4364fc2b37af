//go:build unix

package inode

import (
	"os"
	"syscall"
)

// atOnce opens without waiting for the other end of a pipe or taking a terminal.
const atOnce = syscall.O_NONBLOCK | syscall.O_NOCTTY

// Of is the inode of what st describes; false where this system does not tell.
func Of(st os.FileInfo) (Inode, bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return Inode{}, false
	}
	return Inode{Dev: uint64(sys.Dev), Ino: uint64(sys.Ino), UID: int(sys.Uid)}, true
}
