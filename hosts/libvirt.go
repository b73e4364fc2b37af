package hosts

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
}

// readDomain reads the attributes of <domstatus>.
func readDomain(r io.Reader) (domain, error) {
	dec := xml.NewDecoder(io.LimitReader(r, maxDomain))
	for {
		t, err := dec.Token()
		if err != nil {
			return domain{}, err
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if s.Name.Local != "domstatus" {
			return domain{}, errors.New("no status of a libvirt domain")
		}
		var d domain
		for _, a := range s.Attr {
			switch a.Name.Local {
			case "state":
				d.State = a.Value
			case "reason":
				d.Reason = a.Value
			case "pid":
				d.PID = atoi(a.Value)
			}
		}
		return d, nil
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
