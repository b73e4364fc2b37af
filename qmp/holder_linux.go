package qmp

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/ukdbg/ukdbg/internal/sockdiag"
)

// serverOf returns the process that listens at the other end, 0 if it cannot be
// seen from here,
// and the inode of our own end.
func serverOf(u *net.UnixConn) (pid int, own uint64) {
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, 0
	}
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
		var st syscall.Stat_t
		if syscall.Fstat(int(fd), &st) == nil {
			own = st.Ino
		}
	})
	if err != nil {
		return 0, 0
	}
	return pid, own
}

// holder finds who is connected to the socket at path but for our own
// connection. It returns nil if this host's table shows that nobody is, and an
// *InUseError without a process where the table cannot tell.
func holder(path string, own uint64) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return nil
	}
	var served uint32
	listens := false
	err := sockdiag.Unix(func(u sockdiag.UnixSocket) {
		// By the file, not by the name: a server in another mount namespace, or
		// one that used a relative path, calls it otherwise.
		switch {
		case u.File == 0 || u.File != uint32(st.Ino):
		case u.State == sockdiag.Listen:
			listens = true
		case u.Inode != 0 && uint64(u.Peer) != own: // 0: nobody has accepted it yet
			served = u.Peer
		}
	})
	if err != nil {
		return &InUseError{Path: path}
	}
	switch {
	case served != 0:
		pid := processWith(served)
		return &InUseError{Path: path, PID: pid, Comm: comm(pid)}
	case !listens:
		return &InUseError{Path: path} // it listens in another network namespace
	}
	return nil
}

// processWith returns the first process that holds a socket, 0 if none that may
// be looked into does.
func processWith(inode uint32) int {
	want := fmt.Sprintf("socket:[%d]", inode)
	procs, err := os.ReadDir("/proc")
	if inode == 0 || err != nil {
		return 0
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		dir := "/proc/" + p.Name() + "/fd"
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, f := range fds {
			if to, err := os.Readlink(dir + "/" + f.Name()); err == nil && to == want {
				return pid
			}
		}
	}
	return 0
}

func comm(pid int) string {
	if pid == 0 {
		return ""
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return plain(strings.TrimSpace(string(b)))
}
