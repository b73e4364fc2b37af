package hosts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/vmm"
)

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// ways lists how g can be reached, without reaching for any of them.
func (h *Host) ways(ctx context.Context, g *Guest) {
	g.Ways = nil
	for _, m := range g.Usable() {
		g.Ways = append(g.Ways, h.socket(ctx, Way{Kind: Monitor, Spec: "qmp:" + m.Path, Path: m.Path, Note: string(m.Proto)}))
	}
	for _, m := range g.Monitors {
		if m.Owner != vmm.Unmanaged {
			g.Ways = append(g.Ways, Way{Kind: Monitor, Path: m.Path, Owner: m.Owner, Note: string(m.Owner) + "'s own, left alone"})
		}
	}
	g.Ways = append(g.Ways, h.memory(g))
	for _, spec := range g.GDB {
		w := Way{Kind: Stub, Spec: spec, Note: "stops the guest while attached"}
		if path, ok := strings.CutPrefix(spec, "unix:"); ok {
			w.Path = path
			w = h.socket(ctx, w)
		} else {
			w.Open = true
			h.used(ctx, &w, spec)
		}
		g.Ways = append(g.Ways, w)
	}
	for _, c := range g.Serials {
		if c.Path != "" {
			g.Ways = append(g.Ways, Way{Kind: Console, Path: c.Path, Open: readable(c.Path), Note: c.Backend})
		}
		if c.LogFile != "" {
			g.Ways = append(g.Ways, Way{Kind: Console, Path: c.LogFile, Open: readable(c.LogFile), Note: "logfile"})
		}
	}
	for _, path := range g.ConsoleLogs {
		g.Ways = append(g.Ways, Way{Kind: Console, Path: path, Open: readable(path), Note: string(g.Manager) + "'s log"})
	}
	if g.APISocket != "" {
		g.Ways = append(g.Ways, h.socket(ctx, Way{Kind: API, Path: g.APISocket, Note: "http"}))
	}
}

// memory is the way by the VMM's own memory.
func (h *Host) memory(g *Guest) Way {
	w := Way{Kind: Memory, Spec: pidAddress(g)}
	a := h.Proc.Access(&g.Process)
	switch {
	case g.Confidential != "":
		w.Note = "encrypted guest"
	case a.Read && a.Fix != "" && shared(g):
		w.Note = a.Why + ", and reading an absent page of shared memory would fill it"
	case a.Read:
		w.Open, w.Note = true, a.Why
	case a.Look && shared(g):
		w.Open, w.Note = true, "by its memory file only: "+a.Why
	default:
		w.Note = a.Why
	}
	return w
}

// shared reports whether the guest's RAM lies in a file that can be opened
// beside the VMM.
func shared(g *Guest) bool {
	for _, b := range g.Backends {
		if b.Share && (b.Type == "memfd" || b.Type == "file") {
			return true
		}
	}
	return false
}

// socket tells whether a unix socket can be connected to and nobody is.
func (h *Host) socket(ctx context.Context, w Way) Way {
	switch err := mayReadWrite(w.Path); {
	case strings.HasPrefix(w.Path, "@"):
	case errors.Is(err, fs.ErrPermission):
		w.Note = "no permission for " + w.Path
		return w
	case errors.Is(err, fs.ErrNotExist):
		w.Note = w.Path + " is gone"
		return w
	case err != nil:
		w.Note = fmt.Sprintf("%s: %v", w.Path, err)
		return w
	}
	w.Open = true
	if w.Kind != API {
		h.used(ctx, &w, w.Path)
	}
	return w
}

// used tells who is connected at an address that serves one at a time.
func (h *Host) used(ctx context.Context, w *Way, addr string) {
	who, err := h.Proc.ClientsOf(ctx, addr)
	if err != nil {
		return
	}
	w.Open, w.Used, w.Note = false, true, "in use by a process that cannot be seen from here"
	if len(who) > 0 {
		w.Note = fmt.Sprintf("in use by %d (%s)", who[0].PID, who[0].Comm)
	}
}
