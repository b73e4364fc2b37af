package hosts

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/vmm"
)

// patience bounds each question to somebody else: a monitor, kraft, an API.
const patience = 2 * time.Second

// atOnce bounds how many guests are asked at a time.
const atOnce = 8

// Host is where guests are looked for. New makes this host; the fields let a
// test make up another.
type Host struct {
	Proc vmm.Proc
	// Kraft returns what "kraft ps --all --long --output json" prints.
	Kraft func(context.Context) ([]byte, error)
	// LibvirtDirs hold the status files NAME.xml of running domains.
	LibvirtDirs []string
	// UID is the user whose kraft is asked.
	UID uint32
}

// New is this host.
func New() *Host {
	h := &Host{Proc: vmm.Host, Kraft: kraftPS, LibvirtDirs: []string{"/run/libvirt/qemu"}, UID: uint32(os.Geteuid())}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		h.LibvirtDirs = append(h.LibvirtDirs, dir+"/libvirt/qemu/run")
	}
	return h
}

// List returns the guests of this host, by process number.
func (h *Host) List(ctx context.Context) ([]Guest, error) {
	guests, err := h.find(ctx)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range guests {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			h.Look(ctx, &guests[i])
		})
	}
	wg.Wait()
	return guests, ctx.Err()
}

// find names the guests, and asks none of them.
func (h *Host) find(ctx context.Context) ([]Guest, error) {
	list, err := h.Proc.List(ctx)
	if err != nil {
		return nil, err
	}
	return h.Guests(ctx, list), nil
}

// Guests makes guests of VMMs that are known already: with names and addresses,
// without ways and state.
func (h *Host) Guests(ctx context.Context, list []vmm.Process) []Guest {
	guests := make([]Guest, len(list))
	for i, p := range list {
		guests[i] = Guest{Process: p, Name: p.Name}
		if p.Kind == vmm.Firecracker && p.Name == vmm.DefaultID {
			guests[i].Name = ""
		}
	}
	h.kraftNames(ctx, guests)
	h.libvirtStates(guests)
	address(guests)
	return guests
}

// Look fills in the ways to g and its run state. A monitor or an API of nobody
// else's is asked for the state, Firecracker's also for the kernel where its
// command line does not tell.
func (h *Host) Look(ctx context.Context, g *Guest) {
	h.ways(ctx, g)
	h.state(ctx, g)
	h.config(ctx, g)
}

// address gives each guest the most readable address that names it alone.
func address(guests []Guest) {
	count := map[string]int{}
	for i := range guests {
		count[named(&guests[i])]++
	}
	for i := range guests {
		g := &guests[i]
		if name := named(g); name != "" && count[name] == 1 {
			g.Target = name
		} else {
			g.Target = pidAddress(g)
		}
	}
}
