// Package sockdiag lists the sockets of this network namespace by netlink's
// sock_diag(7): who listens where, and which connections a server holds. Asking
// touches no socket.
//
//	err := sockdiag.TCP(sockdiag.Listen, func(s sockdiag.TCPSocket) { … })
//
// The layouts are those of linux/inet_diag.h and linux/unix_diag.h. An inode
// names a socket in /proc/PID/fd, where links read "socket:[INODE]".
package sockdiag

import "net/netip"

// State is a socket's state, as tcp(7) numbers them; unix sockets use the same.
type State uint8

// The states asked for here.
const (
	Established State = 1
	Listen      State = 10
)

// TCPSocket is a TCP socket of this host.
type TCPSocket struct {
	Local netip.AddrPort
	// Remote is the other end of a connection.
	Remote netip.AddrPort
	// Inode is 0 for a connection that nobody has accepted yet.
	Inode uint32
}

// UnixSocket is a unix socket of this host.
type UnixSocket struct {
	State State
	Inode uint32
	// Peer is the inode of the other end of a connection, 0 if it has none.
	Peer uint32
	// Path is the name the socket was bound to, "" for none; one that starts
	// with a zero byte is abstract. It is as the binder gave it: relative to its
	// working directory, inside its root.
	Path string
	// File and Device are the inode number and the device of the file a bound
	// path made, 0 for none: they tell two sockets of the same name apart.
	File, Device uint32
}
