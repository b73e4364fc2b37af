package vmm

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/internal/sockdiag"
)

// maxTable bounds how much of a socket table is read, in bytes.
const maxTable = 16 << 20

// tcpListeners are the TCP sockets that listen, by sock_diag where it answers.
func (r Proc) tcpListeners() ([]sockdiag.TCPSocket, error) {
	var out []sockdiag.TCPSocket
	if r == Host {
		if sockdiag.TCP(sockdiag.Listen, func(s sockdiag.TCPSocket) { out = append(out, s) }) == nil {
			return out, nil
		}
		out = nil
	}
	err := r.lines("net/tcp", func(line string) {
		if s, ok := tcpLine(line); ok {
			out = append(out, s)
		}
	})
	// A host without IPv6 has no such table.
	_ = r.lines("net/tcp6", func(line string) {
		if s, ok := tcpLine(line); ok {
			out = append(out, s)
		}
	})
	return out, err
}

// unixSockets are the unix sockets that listen or are connected. Without
// sock_diag nothing is known of their peers and files.
func (r Proc) unixSockets() ([]sockdiag.UnixSocket, error) {
	var out []sockdiag.UnixSocket
	if r == Host {
		if sockdiag.Unix(func(s sockdiag.UnixSocket) { out = append(out, s) }) == nil {
			return out, nil
		}
		out = nil
	}
	err := r.lines("net/unix", func(line string) {
		if s, ok := unixLine(line); ok {
			out = append(out, s)
		}
	})
	return out, err
}

// lines calls fn with each line of a table but the first, which names columns.
func (r Proc) lines(name string, fn func(line string)) error {
	f, err := os.Open(string(r) + "/" + name)
	if err != nil {
		return err
	}
	defer f.Close()
	s, read := bufio.NewScanner(f), 0
	for first := true; s.Scan() && read < maxTable; first = false {
		read += len(s.Bytes())
		if !first {
			fn(s.Text())
		}
	}
	return s.Err()
}

// tcpLine takes a listening socket's line of /proc/net/tcp (proc_net_tcp(5)):
// sl local_address rem_address st … with the inode as field 9. An address is
// words of the host's byte order, in hexadecimal.
func tcpLine(line string) (s sockdiag.TCPSocket, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return s, false
	}
	host, port, found := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	inode, ierr := strconv.ParseUint(f[9], 10, 32)
	if !found || err != nil || perr != nil || ierr != nil || len(raw) != 4 && len(raw) != 16 {
		return s, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, _ := netip.AddrFromSlice(raw)
	return sockdiag.TCPSocket{Local: netip.AddrPortFrom(ip.Unmap(), uint16(n)), Inode: uint32(inode)}, true
}

// acceptsConnections is __SO_ACCEPTCON among a unix socket's flags.
const acceptsConnections = 1 << 16

// unixLine takes a line of /proc/net/unix (proc_net_unix(5)): Num RefCount
// Protocol Flags Type St Inode Path.
func unixLine(line string) (s sockdiag.UnixSocket, ok bool) {
	f := strings.Fields(line)
	if len(f) < 7 {
		return s, false
	}
	flags, err := strconv.ParseUint(f[3], 16, 32)
	inode, ierr := strconv.ParseUint(f[6], 10, 32)
	if err != nil || ierr != nil {
		return s, false
	}
	s.Inode, s.State = uint32(inode), sockdiag.Established
	if flags&acceptsConnections != 0 {
		s.State = sockdiag.Listen
	} else if f[5] != "03" {
		return s, false
	}
	if len(f) > 7 {
		s.Path = afterFields(line, 7) // it may hold blanks
		if rest, ok := strings.CutPrefix(s.Path, "@"); ok {
			s.Path = "\x00" + rest
		}
	}
	return s, true
}

// afterFields is what follows the first n fields of a line and one blank.
func afterFields(line string, n int) string {
	for range n {
		line = strings.TrimLeft(line, " ")
		i := strings.IndexByte(line, ' ')
		if i < 0 {
			return ""
		}
		line = line[i:]
	}
	return line[1:]
}
