package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

const (
	tcpDiagGetSock = 18 // a kind of message, linux/inet_diag.h
	inetRequestLen = 60 // struct inet_diag_req
	inetSocketLen  = 72 // struct inet_diag_msg
)

// TCP calls fn with each TCP socket in that state. The kernel filters by state,
// which makes it some thirty times faster than /proc/net/tcp.
//
// The question is the older one, which is for both families: the newer is for
// one, and each time the kernel walks every bucket of its table.
func TCP(state State, fn func(TCPSocket)) error {
	fd, err := open()
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var q [inetRequestLen]byte
	binary.NativeEndian.PutUint32(q[52:], 1<<state)
	return dump(fd, tcpDiagGetSock, q[:], func(m []byte) {
		if s, ok := inetSocket(m); ok {
			fn(s)
		}
	})
}

func inetSocket(m []byte) (s TCPSocket, ok bool) {
	if len(m) < inetSocketLen {
		return s, false
	}
	end := func(addr, port int) netip.AddrPort {
		ip := netip.AddrFrom4([4]byte(m[addr : addr+4]))
		if m[0] == syscall.AF_INET6 {
			ip = netip.AddrFrom16([16]byte(m[addr : addr+16])).Unmap()
		}
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(m[port:]))
	}
	return TCPSocket{Local: end(8, 4), Remote: end(24, 6), Inode: binary.NativeEndian.Uint32(m[inetSocketLen-4:])}, true
}
