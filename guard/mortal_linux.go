package guard

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/ukdbg/ukdbg/vmm"
)

// mayBeMortal reports whether the stub at addr may be one of a mortal VMM: a host
// runs one, and no QEMU is seen to listen there. To find that out costs less than
// to find out who listens. Each attachment asks: so the youngest processes are
// looked at first and, once the QEMU is found, no others, by system calls alone,
// without what an os.File is made of.
func mayBeMortal(addr string) bool {
	dir, err := os.Open("/proc")
	if err != nil {
		return false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false
	}
	inodes, err := vmm.Listeners(addr)
	if err != nil {
		inodes = nil // any process may be the one
	}
	var sockets []string
	for inode := range inodes {
		sockets = append(sockets, "socket:["+strconv.FormatUint(uint64(inode), 10)+"]")
	}
	found := false
	var buf [64]byte
	for _, n := range slices.Backward(names) { // the kernel lists them by number
		if n[0] < '0' || n[0] > '9' {
			continue
		}
		switch c := comm("/proc/"+n+"/comm", buf[:]); {
		case isMortal(c):
			found = true
		case len(sockets) > 0 && strings.HasPrefix(c, "qemu") && has("/proc/"+n+"/fd", sockets):
			return false
		}
	}
	return found
}

// maxFiles bounds how many descriptors of a process are looked at.
const maxFiles = 4096

// has reports whether a process, of which dir lists the descriptors, has one of
// these sockets open.
func has(dir string, sockets []string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxFiles)
	var buf [64]byte
	for _, n := range names {
		size, err := syscall.Readlink(dir+"/"+n, buf[:])
		if err == nil && slices.Contains(sockets, string(buf[:size])) {
			return true
		}
	}
	return false
}

// comm reads a process's name, "" if it is gone.
func comm(path string, buf []byte) string {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil {
		var n int
		n, err = syscall.Read(fd, buf)
		_ = syscall.Close(fd)
		if err == nil {
			return strings.TrimSuffix(string(buf[:n]), "\n")
		}
	}
	if err == syscall.ENOENT || err == syscall.ESRCH {
		return ""
	}
	text, _ := os.ReadFile(path) // a signal came between
	return strings.TrimSuffix(string(text), "\n")
}
