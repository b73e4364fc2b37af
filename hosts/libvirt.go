package hosts

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/vmm"
)

// maxDomain bounds what is read of a domain's status file, in bytes.
const maxDomain = 1 << 20

// domain is the head of libvirt's status file of a running domain, which
// libvirtd rewrites whenever something changes.
type domain struct {
	State  string // running, paused, shutdown, crashed, pmsuspended …
	Reason string
	PID    int
	// Logs are the files of <serial> and <console>, at most maxLogs.
	Logs []string
}

// maxLogs bounds the console logs of one domain.
const maxLogs = 8

// readDomain reads the attributes of <domstatus>, and the <log file="…"/> of its
// serial ports and consoles (libvirt's "Domain XML format", "Consoles, serial,
// parallel & channel devices").
func readDomain(r io.Reader) (domain, error) {
	dec := xml.NewDecoder(io.LimitReader(r, maxDomain))
	var d domain
	port := false // inside a serial port or console
	for seen := false; ; {
		t, err := dec.Token()
		if err != nil && seen {
			return d, nil // the attributes count, whatever follows
		}
		if err != nil {
			return domain{}, err
		}
		if e, ok := t.(xml.EndElement); ok && (e.Name.Local == "serial" || e.Name.Local == "console") {
			port = false
		}
		s, ok := t.(xml.StartElement)
		switch {
		case !ok:
		case !seen && s.Name.Local != "domstatus":
			return domain{}, errors.New("no status of a libvirt domain")
		case !seen:
			seen = true
			d.status(s.Attr)
		case s.Name.Local == "serial", s.Name.Local == "console":
			port = true
		case port && s.Name.Local == "log":
			d.log(s.Attr)
		}
	}
}

func (d *domain) status(attrs []xml.Attr) {
	for _, a := range attrs {
		switch a.Name.Local {
		case "state":
			d.State = a.Value
		case "reason":
			d.Reason = a.Value
		case "pid":
			d.PID = atoi(a.Value)
		}
	}
}

// log takes a file once: a serial port is told again as the first console.
func (d *domain) log(attrs []xml.Attr) {
	for _, a := range attrs {
		if a.Name.Local == "file" && filepath.IsAbs(a.Value) && len(d.Logs) < maxLogs && !slices.Contains(d.Logs, a.Value) {
			d.Logs = append(d.Logs, a.Value)
		}
	}
}

// libvirtStates takes the run state of libvirt's guests from their status files.
func (h *Host) libvirtStates(guests []Guest) {
	for i := range guests {
		g := &guests[i]
		if g.Manager != vmm.Libvirt {
			continue
		}
		d, err := h.readDomain(g.Name)
		switch {
		case err == nil && d.PID == g.PID:
			g.State, g.StateFrom = d.State, "libvirt's status file"
			g.ConsoleLogs = d.Logs
			if d.Reason != "" && d.State != "running" {
				g.State += " (" + d.Reason + ")"
			}
		case errors.Is(err, fs.ErrPermission):
			g.StateFrom = "libvirt's status file is root's"
		default:
			g.StateFrom = "libvirt has no status file of it here"
		}
	}
}

func (h *Host) readDomain(name string) (domain, error) {
	err := fs.ErrNotExist
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return domain{}, err
	}
	for _, dir := range h.LibvirtDirs {
		var f *os.File
		if f, err = os.Open(filepath.Join(dir, name+".xml")); err != nil {
			continue
		}
		defer f.Close()
		return readDomain(f)
	}
	return domain{}, err
}
