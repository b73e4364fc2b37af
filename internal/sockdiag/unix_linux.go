package sockdiag

import (
	"encoding/binary"
	"strings"
	"syscall"
)

const (
	unixRequestLen = 24 // struct unix_diag_req
	unixSocketLen  = 16 // struct unix_diag_msg

	showName, showVFS, showPeer = 1, 2, 4 // UDIAG_SHOW_*
	attrName, attrVFS, attrPeer = 0, 1, 2 // UNIX_DIAG_*
)

// Unix calls fn with each unix socket that listens or is connected.
func Unix(fn func(UnixSocket)) error {
	fd, err := open()
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var q [unixRequestLen]byte
	q[0] = syscall.AF_UNIX
	ne := binary.NativeEndian
	ne.PutUint32(q[4:], 1<<Established|1<<Listen)
	ne.PutUint32(q[12:], showName|showVFS|showPeer)
	return dump(fd, sockDiagByFamily, q[:], func(m []byte) {
		if s, ok := unixSocket(m); ok {
			fn(s)
		}
	})
}

func unixSocket(m []byte) (s UnixSocket, ok bool) {
	if len(m) < unixSocketLen {
		return s, false
	}
	ne := binary.NativeEndian
	s.State, s.Inode = State(m[2]), ne.Uint32(m[4:])
	for b := m[unixSocketLen:]; len(b) >= 4; { // struct nlattr
		size := ne.Uint16(b)
		if size < 4 || int(size) > len(b) {
			return s, false
		}
		switch v := b[4:size]; ne.Uint16(b[2:]) {
		case attrName:
			s.Path = string(v)
			if !strings.HasPrefix(s.Path, "\x00") {
				s.Path = strings.TrimRight(s.Path, "\x00")
			}
		case attrVFS:
			if len(v) >= 8 {
				s.File, s.Device = ne.Uint32(v), ne.Uint32(v[4:])
			}
		case attrPeer:
			if len(v) >= 4 {
				s.Peer = ne.Uint32(v)
			}
		}
		b = b[min(int(size+3)&^3, len(b)):]
	}
	return s, true
}
