package console

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/vmm"
)

// Source is a console that can be followed: a file.
type Source struct {
	// Path is the file, as this process opens it.
	Path string `json:"path"`
	// PID is the VMM, 0 if not known: a file that has no name any more is
	// reached through its descriptors.
	PID int `json:"pid,omitempty"`
	// Owner is the user whose file it is, nil for anybody: a file of somebody
	// else at the path is left alone.
	Owner *uint32 `json:"owner,omitempty"`
	// How says what makes the file the console, for people.
	How string `json:"how,omitempty"`
}

// NoneError says why a guest has no console that can be followed.
type NoneError struct {
	// Reasons are one for each place a console could have been.
	Reasons []string
}

func (e *NoneError) Error() string { return "console=none: " + strings.Join(e.Reasons, "; ") }

// Find returns the console of a guest. The error is a *NoneError.
func Find(g *hosts.Guest) (Source, error) { return FindIn(vmm.Host, g) }

// FindIn is Find with another proc(5).
func FindIn(proc vmm.Proc, g *hosts.Guest) (Source, error) {
	s := search{proc: string(proc), p: &g.Process}
	for _, c := range g.Serials {
		s.chardev(c)
	}
	for _, path := range g.ConsoleLogs {
		s.file(path, "log of "+string(vmm.Libvirt), true)
	}
	if g.Kind == vmm.Firecracker {
		s.stdout("the VMM's standard output")
	}
	if len(s.found) > 0 {
		return s.found[0], nil
	}
	if len(s.why) == 0 {
		s.why = []string{"its command line names no serial port"}
	}
	return Source{}, &NoneError{Reasons: s.why[:min(len(s.why), maxReasons)]}
}

const maxReasons = 4

// search collects the consoles of one VMM.
type search struct {
	proc  string
	p     *vmm.Process
	found []Source
	why   []string
}

func (s *search) none(format string, args ...any) {
	s.why = append(s.why, fmt.Sprintf(format, args...))
}

func (s *search) chardev(c vmm.Chardev) {
	if c.LogFile != "" && !strings.HasPrefix(c.LogFile, "/dev/fdset/") {
		s.file(c.LogFile, "logfile of -chardev "+c.Backend, false)
	}
	switch c.Backend {
	case "file":
		s.file(c.Path, "serial port to a file", false)
	case "stdio":
		s.stdout("serial port to the VMM's standard output")
	case "null", "none":
		s.none("the serial port goes nowhere (%s)", c.Backend)
	case "pty", "serial", "socket", "udp", "pipe", "fd", "tcp":
		s.none("the serial port is a %s, which has one reader: use -serial file:PATH, or a -chardev with logfile=PATH", c.Backend)
	case "ringbuf", "memory":
		s.none("the serial port is a ring in the VMM, which is emptied by reading")
	default:
		s.none("the serial port is shown by the VMM itself (%s)", c.Backend)
	}
}

// file checks a file that the VMM, or for trusted ones its manager, names.
func (s *search) file(path, how string, trusted bool) {
	f, st, err := openLog(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.none("no permission to read %s", path)
		return
	case errors.Is(err, fs.ErrNotExist):
		s.none("%s is not there", path)
		return
	case err != nil:
		s.none("%v", err)
		return
	}
	f.Close()
	if !trusted && st.uid != s.p.UID && !s.writes(st.id) {
		s.none("%s belongs to uid %d and process %d (uid %d) does not write it", path, st.uid, s.p.PID, s.p.UID)
		return
	}
	s.found = append(s.found, Source{Path: path, PID: s.p.PID, Owner: &st.uid, How: how})
}

func (s *search) fd(n string) string {
	return filepath.Join(s.proc, strconv.Itoa(s.p.PID), "fd", n)
}

// stdout looks where the VMM's standard output goes.
func (s *search) stdout(how string) {
	link := s.fd("1")
	to, err := os.Readlink(link)
	switch {
	case err != nil:
		s.none("where the VMM's standard output goes cannot be seen: %v", err)
		return
	case strings.HasPrefix(to, "pipe:"), strings.HasPrefix(to, "socket:"), strings.HasPrefix(to, "/dev/pts/"), strings.HasPrefix(to, "/dev/tty"):
		s.none("the VMM's standard output is %s, which has one reader", to)
		return
	case to == "/dev/null":
		s.none("the VMM's standard output is /dev/null")
		return
	}
	f, st, err := openLog(link)
	if err != nil {
		s.none("the VMM's standard output: %v", err)
		return
	}
	f.Close()
	if st.uid != s.p.UID && !s.writes(st.id) { // a descriptor may be had of what may not be read: O_PATH of open(2)
		s.none("the VMM's standard output belongs to uid %d and process %d (uid %d) does not write it", st.uid, s.p.PID, s.p.UID)
		return
	}
	// A name lets a rotation be followed; without one the descriptor will do.
	path := link
	for _, name := range []string{to, filepath.Join(s.proc, strconv.Itoa(s.p.PID), "root", to)} {
		if f, there, err := openLog(name); err == nil {
			f.Close()
			if there.id == st.id {
				path = name
				break
			}
		}
	}
	s.found = append(s.found, Source{Path: path, PID: s.p.PID, Owner: &st.uid, How: how})
}
