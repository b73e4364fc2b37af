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
//
// hint is the path of a symbolic link that names the descriptor by which the last
// QEMU found listens, "" for none. It is believed only if that process is a QEMU
// and the descriptor is the listening socket; then no other process is looked at.
func mayBeMortal(addr, hint string) bool {
	inodes, err := vmm.Listeners(addr)
	if err != nil {
		inodes = nil // any process may be the one
	}
	var sockets []string
	for inode := range inodes {
		sockets = append(sockets, "socket:["+strconv.FormatUint(uint64(inode), 10)+"]")
	}
	var buf [64]byte
	if hint != "" && len(sockets) > 0 {
		if size, err := syscall.Readlink(hint, buf[:]); err == nil {
			if pid, fd, ok := strings.Cut(string(buf[:size]), "/fd/"); ok && number(pid) && number(fd) && listens(pid, fd, sockets) {
				return false
			}
		}
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false
	}
	found := false
	for _, n := range slices.Backward(names) { // the kernel lists them by number
		if !number(n) {
			continue
		}
		switch c := comm("/proc/"+n+"/comm", buf[:]); {
		case isMortal(c):
			found = true
		case len(sockets) > 0 && isQEMU(c):
			if fd := holds(n, sockets); fd != "" {
				remember(hint, n+"/fd/"+fd)
				return false
			}
		}
	}
	return found
}

func isQEMU(comm string) bool { return strings.HasPrefix(comm, "qemu") }

// number reports whether a name is a plain number, as those of processes and
// descriptors are.
func number(name string) bool {
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' {
			return false
		}
	}
	return name != ""
}

// remember notes for the next attachment where the listening socket is.
func remember(hint, where string) {
	if hint == "" {
		return
	}
	// The next one searches again if this fails.
	tmp := hint + "." + strconv.Itoa(os.Getpid())
	if os.Symlink(where, tmp) == nil && os.Rename(tmp, hint) != nil {
		_ = os.Remove(tmp)
	}
}

// listens reports whether a process is a QEMU and has one of these sockets at
// that descriptor.
func listens(pid, fd string, sockets []string) bool {
	var buf [64]byte
	size, err := syscall.Readlink("/proc/"+pid+"/fd/"+fd, buf[:])
	return err == nil && slices.Contains(sockets, string(buf[:size])) && isQEMU(comm("/proc/"+pid+"/comm", buf[:]))
}

// maxFiles bounds how many descriptors of a process are looked at.
const maxFiles = 4096

// holds returns the descriptor by which a process has one of these sockets, "" if
// it has none.
func holds(pid string, sockets []string) string {
	dir := "/proc/" + pid + "/fd"
	d, err := os.Open(dir)
	if err != nil {
		return ""
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxFiles)
	var buf [64]byte
	for _, n := range names {
		size, err := syscall.Readlink(dir+"/"+n, buf[:])
		if err == nil && slices.Contains(sockets, string(buf[:size])) {
			return n
		}
	}
	return ""
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
