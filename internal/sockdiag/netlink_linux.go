package sockdiag

import (
	"encoding/binary"
	"errors"
	"syscall"
)

// Constants of sock_diag(7).
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
	headerLen        = 16      // struct nlmsghdr
	maxAnswer        = 4 << 20 // bytes of answer looked at
)

var errAnswer = errors.New("sock_diag answered something else")

// open makes a netlink socket for questions.
func open() (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return -1, err
	}
	// The answer is made by the kernel while it is asked, so the limit is only
	// for one that never comes.
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 1}); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// dump asks for all sockets that fit the question, a message of that kind, and
// calls fn with the payload of each message of the answer.
func dump(fd int, kind uint16, question []byte, fn func(msg []byte)) error {
	req := make([]byte, headerLen, headerLen+len(question))
	req = append(req, question...)
	ne := binary.NativeEndian
	ne.PutUint32(req[0:], uint32(len(req)))
	ne.PutUint16(req[4:], kind)
	ne.PutUint16(req[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	if err := syscall.Sendto(fd, req, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for total := 0; total < maxAnswer; {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err != nil {
			return err
		}
		total += n
		done, err := messages(buf[:n], kind, fn)
		if done || err != nil {
			return err
		}
	}
	return nil
}

// messages reads those of one datagram; done is set by the last.
func messages(b []byte, kind uint16, fn func(msg []byte)) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= headerLen {
		size := ne.Uint32(b)
		if size < headerLen || uint64(size) > uint64(len(b)) {
			return false, errAnswer
		}
		switch ne.Uint16(b[4:]) {
		case syscall.NLMSG_DONE:
			return true, nil
		case syscall.NLMSG_ERROR:
			return true, errAnswer
		case kind:
			fn(b[headerLen:size])
		}
		b = b[min(uint64(size+3)&^3, uint64(len(b))):]
	}
	return false, nil
}
