package qmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
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
	table, err := unixSockets()
	if err != nil {
		return &InUseError{Path: path}
	}
	var served *unixSocket
	listens := false
	for i := range table {
		s := &table[i]
		// By the file, not by the name: a server in another mount namespace, or
		// one that used a relative path, calls it otherwise.
		if s.fileInode != uint32(st.Ino) || !s.hasFile {
			continue
		}
		switch {
		case s.state == unixListen:
			listens = true
		case s.inode != 0 && uint64(s.peer) != own: // 0: nobody has accepted it yet
			served = s
		}
	}
	switch {
	case served != nil:
		pid := processWith(served.peer)
		return &InUseError{Path: path, PID: pid, Comm: comm(pid)}
	case !listens:
		return &InUseError{Path: path} // it listens in another network namespace
	}
	return nil
}

// unixSocket is a line of the kernel's table of unix sockets.
type unixSocket struct {
	state     byte
	inode     uint32 // 0 for a connection nobody has accepted
	peer      uint32 // the inode of the other end, 0 if none
	fileInode uint32 // of the path it is bound to
	hasFile   bool
}

// Constants of linux/sock_diag.h, linux/unix_diag.h and linux/tcp_states.h.
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
	unixDiagVFS      = 1
	unixDiagPeer     = 2
	showVFS          = 1 << 1
	showPeer         = 1 << 2
	unixListen       = 10
	diagRequestLen   = 16 + 24 // struct nlmsghdr, struct unix_diag_req
	diagMessageLen   = 16      // struct unix_diag_msg
	maxDiag          = 8 << 20 // bytes of answer looked at
)

var errDiag = errors.New("sock_diag answered something else")

// unixSockets asks the kernel for the unix sockets of this network namespace.
func unixSockets() ([]unixSocket, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 500_000}); err != nil {
		return nil, err
	}
	req := make([]byte, diagRequestLen)
	ne := binary.NativeEndian
	ne.PutUint32(req, diagRequestLen)
	ne.PutUint16(req[4:], sockDiagByFamily)
	ne.PutUint16(req[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	req[16] = syscall.AF_UNIX
	ne.PutUint32(req[20:], ^uint32(0)) // every state
	ne.PutUint32(req[28:], showVFS|showPeer)
	if err := syscall.Sendto(fd, req, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, err
	}
	var out []unixSocket
	buf := make([]byte, 64<<10)
	for total := 0; total < maxDiag; {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err != nil {
			return nil, err
		}
		total += n
		var done bool
		if out, done, err = appendSockets(out, buf[:n]); done || err != nil {
			return out, err
		}
	}
	return out, nil
}

// appendSockets reads the messages of one datagram; done is set by the last.
func appendSockets(out []unixSocket, b []byte) (_ []unixSocket, done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= 16 {
		size := ne.Uint32(b)
		if size < 16 || uint64(size) > uint64(len(b)) {
			return out, false, errDiag
		}
		switch ne.Uint16(b[4:]) {
		case syscall.NLMSG_DONE:
			return out, true, nil
		case syscall.NLMSG_ERROR:
			return out, true, errDiag
		case sockDiagByFamily:
			if m := b[16:size]; len(m) >= diagMessageLen {
				out = append(out, socketOf(m))
			}
		}
		b = b[min(uint64(size+3)&^3, uint64(len(b))):]
	}
	return out, false, nil
}

func socketOf(m []byte) unixSocket {
	ne := binary.NativeEndian
	s := unixSocket{state: m[2], inode: ne.Uint32(m[4:])}
	for a := m[diagMessageLen:]; len(a) >= 4; {
		size := int(ne.Uint16(a))
		if size < 4 || size > len(a) {
			break
		}
		switch body := a[4:size]; {
		case ne.Uint16(a[2:]) == unixDiagVFS && len(body) >= 8:
			s.fileInode, s.hasFile = ne.Uint32(body), true
		case ne.Uint16(a[2:]) == unixDiagPeer && len(body) >= 4:
			s.peer = ne.Uint32(body)
		}
		a = a[min((size+3)&^3, len(a)):]
	}
	return s
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
