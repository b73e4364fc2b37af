package gdbstub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/internal/sockdiag"
	"github.com/ukdbg/ukdbg/target"
)

// peerState is what this host's socket table tells of a server's connections.
// Tables are those of our own network namespace; a server elsewhere is not in
// them, and every count is 0.
type peerState struct {
	// served counts connections the server has accepted and not closed.
	served int
	// queued counts connections that wait for the server to accept them.
	queued int
}

// busyWait is how long a connection may take to vanish after its client left.
const busyWait = 200 * time.Millisecond

// waitFree returns how many connections the stub at spec serves already, once
// the number is 0 or has stayed above 0 for busyWait.
func waitFree(ctx context.Context, spec target.Spec) int {
	deadline := time.Now().Add(busyWait)
	for {
		n := peers(spec).served
		if n == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return n
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// peers looks spec's address up in the socket tables of a Linux host.
func peers(spec target.Spec) (s peerState) {
	switch spec.Scheme {
	case target.Unix:
		eachLine("/proc/net/unix", func(f [][]byte) { s.countUnix(f, spec.Addr) })
	case target.TCP:
		host, port, err := net.SplitHostPort(spec.Addr)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || !isLocal(host) {
			return s
		}
		var found peerState
		err = sockdiag.TCP(sockdiag.Established, func(t sockdiag.TCPSocket) { found.countSocket(t.Local.Port() == uint16(n), t.Inode) })
		if err == nil {
			return found
		}
		for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			eachLine(table, func(f [][]byte) { s.countTCP(f, uint16(n)) })
		}
	}
	return s
}

// maxTable bounds how much of a socket table is read.
const maxTable = 8 << 20

// eachLine calls fn with the fields of each line; a table that is not there
// has none.
func eachLine(path string, fn func(fields [][]byte)) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	read := 0
	for s := bufio.NewScanner(f); s.Scan() && read < maxTable; {
		read += len(s.Bytes())
		fn(bytes.Fields(s.Bytes()))
	}
}

// countUnix takes a line of /proc/net/unix (proc(5)): Num RefCount Protocol
// Flags Type St Inode Path. The server's end of a connection has the path; St
// is 03 once it is accepted and 02 before.
func (s *peerState) countUnix(f [][]byte, path string) {
	if len(f) < 8 || string(f[7]) != path {
		return
	}
	switch string(f[5]) {
	case "02":
		s.queued++
	case "03":
		s.served++
	}
}

// countTCP takes a line of /proc/net/tcp (proc(5)): sl local_address
// rem_address st … inode is field 9. State 01 is ESTABLISHED; a connection
// nobody has accepted has inode 0.
func (s *peerState) countTCP(f [][]byte, port uint16) {
	if len(f) < 10 || string(f[3]) != "01" {
		return
	}
	_, p, ok := bytes.Cut(f[1], []byte(":"))
	var b [2]byte
	if !ok || len(p) != 4 {
		return
	}
	if _, err := hex.Decode(b[:], p); err != nil || uint16(b[0])<<8|uint16(b[1]) != port {
		return
	}
	inode, err := strconv.ParseUint(string(f[9]), 10, 32)
	s.countSocket(err == nil, uint32(inode))
}

// countSocket takes an established connection, if it is the server's; one that
// nobody has accepted has inode 0.
func (s *peerState) countSocket(ours bool, inode uint32) {
	switch {
	case !ours:
	case inode == 0:
		s.queued++
	default:
		s.served++
	}
}

// isLocal reports whether host is this host, without asking a name server.
func isLocal(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	host, _, _ = strings.Cut(host, "%")
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}
