package sockdiag

import (
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
)

// inodeOf is the inode of a connection's or listener's socket.
func inodeOf(t *testing.T, c syscall.Conn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = syscall.Fstat(int(fd), &st) }); err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	return uint32(st.Ino)
}

func TestTCP(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		want := TCPSocket{Local: netip.MustParseAddrPort(l.Addr().String()), Inode: inodeOf(t, l.(*net.TCPListener))}
		found := 0
		if err := TCP(Listen, func(s TCPSocket) {
			if s.Local == want.Local && s.Inode == want.Inode && s.Remote.Port() == 0 {
				found++
			}
		}); err != nil || found != 1 {
			t.Errorf("%v: %d times, %v", want, found, err)
		}
		if err := TCP(Established, func(s TCPSocket) {
			if s.Local == want.Local {
				t.Errorf("%v is established, nobody connected", s)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	listener, server, client := inodeOf(t, l.(*net.UnixListener)), inodeOf(t, s.(*net.UnixConn)), inodeOf(t, c.(*net.UnixConn))
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	got := map[uint32]UnixSocket{}
	if err := Unix(func(s UnixSocket) { got[s.Inode] = s }); err != nil {
		t.Fatal(err)
	}
	if g := got[listener]; g.State != Listen || g.Path != path || g.File != uint32(st.Ino) {
		t.Errorf("listener: %+v, file %d", g, st.Ino)
	}
	if g := got[server]; g.State != Established || g.Path != path || g.Peer != client {
		t.Errorf("server's end: %+v, want peer %d", g, client)
	}
	if g := got[client]; g.State != Established || g.Path != "" || g.Peer != server {
		t.Errorf("client's end: %+v, want peer %d", g, server)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte("\x18\x00\x00\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x0a\x00\x05\x00\x00\x00"))
	f.Add([]byte("\x14\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []uint16{sockDiagByFamily, tcpDiagGetSock} {
			messages(b, kind, func(m []byte) {
				inetSocket(m)
				unixSocket(m)
			})
		}
	})
}
