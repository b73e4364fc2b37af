package vmm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/internal/inode"
	"github.com/ukdbg/ukdbg/internal/sockdiag"
)

// ErrNobody says that no process was found at an address. With processes of
// others that may not be looked into, that is not for certain.
var ErrNobody = errors.New("no process found there")

// ErrNoListener says that no socket of this host is open at one of its own
// addresses.
var ErrNoListener = errors.New("nothing listens there")

// ByListener returns the processes that listen at addr: tcp:HOST:PORT,
// unix:PATH or a path. It is asked of the socket tables of this network
// namespace and of /proc/PID/fd; where that is forbidden, a VMM whose command
// line names the address is taken for it.
func ByListener(ctx context.Context, addr string) ([]Process, error) {
	return Host.ByListener(ctx, addr)
}

// Listeners returns the inodes of the sockets that listen at addr, of this
// network namespace: which process has them is not asked.
func Listeners(addr string) (map[uint32]bool, error) { return Host.listening(addr) }

// ClientsOf returns the processes that hold a connection to the unix socket at
// path, VMMs or not. Nobody there is ErrNobody; none and no error means that
// there is one this user may not see.
func ClientsOf(ctx context.Context, path string) ([]Process, error) {
	return Host.ClientsOf(ctx, path)
}

// ByListener returns the processes that listen at addr.
func (r Proc) ByListener(ctx context.Context, addr string) ([]Process, error) {
	inodes, err := r.listening(addr)
	if err != nil {
		return nil, fmt.Errorf("who listens at %s: %w", addr, err)
	}
	if len(inodes) == 0 && isOwn(addr) {
		return nil, fmt.Errorf("%s: %w", addr, ErrNoListener)
	}
	out, err := r.holding(ctx, inodes)
	if err != nil || len(out) > 0 {
		return out, err
	}
	vmms, err := r.List(ctx)
	for _, p := range vmms {
		if p.names(addr) {
			out = append(out, p)
		}
	}
	if len(out) == 0 && err == nil {
		err = fmt.Errorf("who listens at %s: %w", addr, ErrNobody)
	}
	return out, err
}

// ClientsOf returns the processes connected to a unix socket, or to "tcp:HOST:PORT" of
// this host; none of those connected to the latter need be on this host.
func (r Proc) ClientsOf(ctx context.Context, path string) ([]Process, error) {
	if hp, ok := strings.CutPrefix(path, "tcp:"); ok {
		return r.tcpClients(ctx, hp)
	}
	is := boundTo(path)
	peers := map[uint32]bool{}
	// /proc/net/unix does not tell who is connected to whom.
	if err := sockdiag.Unix(func(s sockdiag.UnixSocket) {
		if s.State == sockdiag.Established && s.Peer != 0 && is(s) {
			peers[s.Peer] = true
		}
	}); err != nil {
		return nil, fmt.Errorf("who is connected to %s: %w", path, err)
	}
	if len(peers) == 0 {
		return nil, fmt.Errorf("who is connected to %s: %w", path, ErrNobody)
	}
	return r.holding(ctx, peers)
}

func (r Proc) tcpClients(ctx context.Context, hp string) ([]Process, error) {
	at, err := addrPort(hp)
	if err != nil {
		return nil, err
	}
	served, ends := map[netip.AddrPort]bool{}, map[netip.AddrPort]uint32{}
	if err := sockdiag.TCP(sockdiag.Established, func(s sockdiag.TCPSocket) {
		ends[s.Local] = s.Inode
		// One that nobody accepted waits in the queue.
		if s.Local.Port() == at.Port() && s.Inode != 0 && (at.Addr().IsUnspecified() || s.Local.Addr() == at.Addr()) {
			served[s.Remote] = true
		}
	}); err != nil {
		return nil, fmt.Errorf("who is connected to tcp:%s: %w", hp, err)
	}
	if len(served) == 0 {
		return nil, fmt.Errorf("who is connected to tcp:%s: %w", hp, ErrNobody)
	}
	peers := map[uint32]bool{}
	for remote := range served {
		if inode := ends[remote]; inode != 0 {
			peers[inode] = true
		}
	}
	return r.holding(ctx, peers)
}

// names reports whether p's command line has it listen at addr.
func (p *Process) names(addr string) bool {
	if !strings.HasPrefix(addr, "tcp:") {
		addr = "unix:" + strings.TrimPrefix(addr, "unix:")
	}
	if slices.Contains(p.GDB, addr) || p.APISocket != "" && addr == "unix:"+p.APISocket {
		return true
	}
	for _, m := range p.Monitors {
		if m.Path != "" && addr == "unix:"+m.Path || m.Chardev.Target() == addr {
			return true
		}
	}
	return slices.ContainsFunc(p.Serials, func(c Chardev) bool { return c.Target() == addr })
}

// listening returns the inodes of the sockets that listen at addr.
func (r Proc) listening(addr string) (map[uint32]bool, error) {
	inodes := map[uint32]bool{}
	if hp, ok := strings.CutPrefix(addr, "tcp:"); ok {
		want, err := addrPort(hp)
		if err != nil {
			return nil, err
		}
		table, err := r.tcpListeners()
		if err != nil {
			return nil, err
		}
		for _, s := range table {
			if s.Local.Port() == want.Port() && (s.Local.Addr() == want.Addr() || s.Local.Addr().IsUnspecified()) {
				inodes[s.Inode] = true
			}
		}
		return inodes, nil
	}
	table, err := r.unixSockets()
	if err != nil {
		return nil, err
	}
	is := boundTo(strings.TrimPrefix(addr, "unix:"))
	for _, s := range table {
		if s.State == sockdiag.Listen && is(s) {
			inodes[s.Inode] = true
		}
	}
	return inodes, nil
}

// isOwn reports whether addr is for certain one of this network namespace: a
// loopback address.
func isOwn(addr string) bool {
	hp, ok := strings.CutPrefix(addr, "tcp:")
	at, err := addrPort(hp)
	return ok && err == nil && at.Addr().IsLoopback()
}

// addrPort reads HOST:PORT without asking a name server.
func addrPort(hp string) (netip.AddrPort, error) {
	if port, ok := strings.CutPrefix(hp, "localhost:"); ok {
		hp = "127.0.0.1:" + port
	}
	return netip.ParseAddrPort(hp)
}

// boundTo tells the sockets bound to name. The file they made is compared where
// it is known: the name a socket was bound by may be relative, or of another
// root.
func boundTo(name string) func(sockdiag.UnixSocket) bool {
	if abstract, ok := strings.CutPrefix(name, "@"); ok {
		return func(s sockdiag.UnixSocket) bool { return s.Path == "\x00"+abstract }
	}
	var file inode.Inode
	known := false
	if st, err := os.Stat(name); err == nil {
		file, known = inode.Of(st)
	}
	return func(s sockdiag.UnixSocket) bool {
		if known && s.File != 0 {
			return s.File == uint32(file.Ino) && path.Base(s.Path) == path.Base(name)
		}
		return s.Path == name
	}
}

// holding returns the processes that have one of those sockets open.
func (r Proc) holding(ctx context.Context, inodes map[uint32]bool) ([]Process, error) {
	var out []Process
	if len(inodes) == 0 {
		return nil, nil
	}
	err := r.each(ctx, func(pid int) {
		for inode := range r.sockets(pid) {
			if inodes[inode] {
				p, err := r.ByPID(pid)
				if err == nil || errors.Is(err, ErrNotVMM) {
					out = append(out, p)
				}
				return
			}
		}
	})
	return out, err
}

// findPort adds the stub whose port was the kernel's choice: the only TCP port
// the process listens on that its command line does not name.
func (r Proc) findPort(p *Process) {
	mine := map[uint32]bool{}
	for inode := range r.sockets(p.PID) {
		mine[inode] = true
	}
	table, err := r.tcpListeners()
	if err != nil {
		return
	}
	line := strings.Join(p.Args, " ")
	var found []netip.AddrPort
	for _, s := range table {
		if mine[s.Inode] && !strings.Contains(line, strconv.Itoa(int(s.Local.Port()))) {
			found = append(found, s.Local)
		}
	}
	if len(found) == 1 {
		p.GDB = append(p.GDB, "tcp:"+hostPort(found[0].Addr().String(), strconv.Itoa(int(found[0].Port()))))
		p.GDBListen = append(p.GDBListen, "tcp:"+found[0].String())
	} else {
		p.Unseen = append(p.Unseen, "which TCP port its stub got")
	}
}

// sockets yields the inodes of a process's sockets, none if it may not be
// looked into.
func (r Proc) sockets(pid int) func(yield func(inode uint32) bool) {
	return func(yield func(uint32) bool) {
		dir := r.path(pid, "fd")
		d, err := os.Open(dir)
		if err != nil {
			return
		}
		defer d.Close()
		names, _ := d.Readdirnames(maxFDs)
		for _, n := range names {
			to, err := os.Readlink(dir + "/" + n)
			if err != nil {
				continue
			}
			if inode, ok := socketInode(to); ok && !yield(inode) {
				return
			}
		}
	}
}

// socketInode reads "socket:[INODE]".
func socketInode(link string) (uint32, bool) {
	digits, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 32)
	return uint32(n), err == nil
}

// numbers are the names that are numbers, in order.
func numbers(names []string) []int {
	var out []int
	for _, n := range names {
		if i := number(n); i > 0 {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out
}
