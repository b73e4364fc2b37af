package target

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Scheme says by what way a target is reached.
type Scheme string

// The ways a target can be reached.
const (
	TCP    Scheme = "tcp"    // tcp:HOST:PORT or :PORT, a GDB stub
	Unix   Scheme = "unix"   // unix:PATH, a GDB stub
	Serial Scheme = "serial" // serial:DEV?baud=N, a GDB stub on a serial line
	Exec   Scheme = "exec"   // exec:COMMAND, a GDB stub on a command's stdin and stdout
	Core   Scheme = "core"   // core:FILE, a memory dump
	QMP    Scheme = "qmp"    // qmp:PATH, a monitor's socket: a running VM, observed without a stop
	PID    Scheme = "pid"    // pid:N, a VMM's process on this host

	Kraft       Scheme = "kraft"   // kraft:NAME, a guest that kraft started
	Libvirt     Scheme = "libvirt" // libvirt:DOMAIN
	Firecracker Scheme = "fc"      // fc:ID, a Firecracker microVM
)

// Spec is a parsed target address.
type Spec struct {
	Scheme Scheme
	// Addr is host:port, a path, a device, a command line, a process's number or
	// a guest's name.
	Addr string
	// Baud is the line speed of a serial target in bits per second, 0 to leave
	// the device as it is set.
	Baud int
}

func (s Spec) String() string {
	if s.Baud != 0 {
		return fmt.Sprintf("%s:%s?baud=%d", s.Scheme, s.Addr, s.Baud)
	}
	return string(s.Scheme) + ":" + s.Addr
}

// grammar is what an error about a target address shows.
const grammar = "want tcp:HOST:PORT, :PORT, unix:PATH, serial:DEV?baud=N, exec:COMMAND, qmp:PATH, pid:N, kraft:NAME, " +
	"libvirt:DOMAIN, fc:ID, core:FILE or a dump's file name"

// ParseSpec reads a target address. A name without a scheme is a dump if it is
// a file, and host:port if it looks like one.
func ParseSpec(text string) (Spec, error) {
	bad := func(why string) (Spec, error) {
		return Spec{}, fmt.Errorf("target %q: %s; %s", text, why, grammar)
	}
	scheme, rest, found := strings.Cut(text, ":")
	if found {
		switch Scheme(scheme) {
		case TCP:
			return parseTCP(rest, bad)
		case Unix, Exec, Core, QMP, Kraft, Libvirt, Firecracker:
			if rest == "" {
				return bad("nothing after " + scheme + ":")
			}
			return Spec{Scheme: Scheme(scheme), Addr: rest}, nil
		case Serial:
			return parseSerial(rest, bad)
		case PID:
			n, err := strconv.ParseUint(rest, 10, 31)
			if err != nil || n == 0 {
				return bad("not the number of a process")
			}
			return Spec{Scheme: PID, Addr: strconv.FormatUint(n, 10)}, nil
		case "":
			return parseTCP(text, bad)
		}
	}
	if _, err := os.Stat(text); err == nil {
		return Spec{Scheme: Core, Addr: text}, nil
	}
	if found {
		if _, err := strconv.ParseUint(rest, 10, 16); err == nil {
			return parseTCP(text, bad)
		}
		return bad("no such scheme or file")
	}
	return bad("no such file")
}

// Named reports whether the address is a guest's name, to be looked up on this
// host before it can be reached.
func (s Spec) Named() bool {
	return s.Scheme == Kraft || s.Scheme == Libvirt || s.Scheme == Firecracker
}

func parseTCP(addr string, bad func(string) (Spec, error)) (Spec, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return bad("not HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("port is not a number from 1 to 65535")
	}
	if host == "" {
		host = "127.0.0.1" // a name would cost a look-up
	}
	return Spec{Scheme: TCP, Addr: net.JoinHostPort(host, port)}, nil
}

func parseSerial(rest string, bad func(string) (Spec, error)) (Spec, error) {
	dev, query, has := strings.Cut(rest, "?")
	s := Spec{Scheme: Serial, Addr: dev}
	if dev == "" {
		return bad("no device after serial:")
	}
	if has {
		v, ok := strings.CutPrefix(query, "baud=")
		n, err := strconv.Atoi(v)
		if !ok || err != nil || n <= 0 {
			return bad("after ? only baud=N is known")
		}
		s.Baud = n
	}
	return s, nil
}
