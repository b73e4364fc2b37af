package vmm

import (
	"net"
	"strings"
)

// Chardev is the host's end of a guest's or monitor's byte stream.
type Chardev struct {
	// Backend is socket, file, pty, stdio, null, pipe, fd and so on.
	Backend string
	ID      string
	// Path is the unix socket, file, pipe or device.
	Path string
	// Addr is host:port of a TCP socket; port 0 was the kernel's choice.
	Addr string
	// Server says that the VMM listens, rather than that it connects.
	Server bool
	// FD is a descriptor handed down by whoever started the VMM, -1 if none.
	FD int
	// LogFile is where the VMM writes all that the guest's side sends
	// (-chardev …,logfile=), "" for nowhere.
	LogFile string
	// Abstract says that Path is a name in the abstract namespace.
	Abstract bool
}

// Target is the address of what listens, as target.ParseSpec reads it; "" if
// nobody could connect to it from here.
func (c Chardev) Target() string {
	switch {
	case c.Backend != "socket":
		return ""
	case !c.Server:
		return ""
	case c.Path != "" && !c.Abstract:
		return "unix:" + c.Path
	case c.Addr != "" && !strings.HasSuffix(c.Addr, ":0"):
		return "tcp:" + c.Addr
	}
	return ""
}

// chardevOf reads the properties of -chardev BACKEND,….
func chardevOf(p props) Chardev {
	c := Chardev{Backend: p["backend"], ID: p["id"], Path: p["path"], LogFile: p["logfile"], FD: -1}
	if c.Backend != "socket" {
		return c
	}
	c.Server, c.Abstract = p.on("server"), p.on("abstract")
	if fd := p["fd"]; fd != "" {
		c.FD = number(fd)
	}
	if p["port"] != "" {
		c.Addr = hostPort(p["host"], p["port"])
	}
	return c
}

// legacyChardev reads the older syntax of -serial, -monitor, -qmp and -gdb:
// tcp:HOST:PORT,server, unix:PATH,server, file:PATH, chardev:ID, a bare word.
// named are the -chardev seen so far.
func legacyChardev(text string, named map[string]Chardev) Chardev {
	text = strings.TrimPrefix(text, "mon:")
	kind, rest, has := strings.Cut(text, ":")
	c := Chardev{Backend: kind, FD: -1}
	if !has {
		if strings.HasPrefix(text, "/dev/") {
			return Chardev{Backend: "serial", Path: text, FD: -1}
		}
		return c
	}
	switch kind {
	case "chardev":
		if known, ok := named[rest]; ok {
			return known
		}
		return Chardev{ID: rest, FD: -1}
	case "tcp", "telnet", "websocket", "tn3270":
		addr, tail := cutOpt(rest)
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return Chardev{Backend: "socket", FD: -1}
		}
		c.Backend, c.Addr, c.Server = "socket", hostPort(host, port), parseOpts(tail, "").on("server")
	case "unix":
		p := parseOpts(rest, "path") // "unix:path=PATH" too
		c.Backend, c.Path, c.Server, c.Abstract = "socket", p["path"], p.on("server"), p.on("abstract")
	case "file", "pipe":
		c.Path, _ = cutOpt(rest)
	}
	return c
}

func hostPort(host, port string) string {
	switch host {
	case "", "0.0.0.0", "::":
		host = "127.0.0.1" // any address: this host's own is one
	case "localhost":
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
