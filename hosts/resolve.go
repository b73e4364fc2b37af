package hosts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// ErrNoGuest says that no guest of that name runs on this host, or none that
// this user can see.
var ErrNoGuest = errors.New("no such guest on this host")

// AmbiguousError says that several guests have a name.
type AmbiguousError struct {
	Spec   target.Spec
	Guests []Guest
}

func (e *AmbiguousError) Error() string {
	var which []string
	for i := range e.Guests {
		g := &e.Guests[i]
		which = append(which, fmt.Sprintf("%s (uid %d)", pidAddress(g), g.UID))
	}
	return fmt.Sprintf("%s: %d guests have this name, say which: %s", e.Spec, len(which), strings.Join(which, ", "))
}

// Resolve turns a name into a way to reach the guest without stopping it: its
// monitor where there is one for others, else its process.
func (h *Host) Resolve(ctx context.Context, spec target.Spec) (target.Spec, Guest, error) {
	g, err := h.Find(ctx, spec)
	if err != nil {
		return spec, g, err
	}
	h.ways(ctx, &g)
	if w, ok := g.Way(Monitor); ok {
		return target.Spec{Scheme: target.QMP, Addr: w.Path}, g, nil
	}
	return target.Spec{Scheme: target.PID, Addr: strconv.Itoa(g.PID)}, g, nil
}

// Find returns the guest a name or a process's number stands for, without its
// ways and state. A kraft guest is also found by its machine id, a libvirt
// domain by its UUID.
func (h *Host) Find(ctx context.Context, spec target.Spec) (Guest, error) {
	if spec.Scheme == target.PID {
		pid, err := strconv.Atoi(spec.Addr)
		if err != nil {
			return Guest{}, fmt.Errorf("%s: %w", spec, err)
		}
		p, err := h.Proc.ByPID(pid)
		if err != nil {
			return Guest{}, err
		}
		one := []Guest{{Process: p, Name: p.Name}}
		h.kraftNames(ctx, one)
		h.libvirtStates(one)
		address(one)
		return one[0], nil
	}
	guests, err := h.find(ctx)
	if err != nil {
		return Guest{}, err
	}
	var found []Guest
	for _, g := range guests {
		if g.is(spec) {
			found = append(found, g)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Guest{}, fmt.Errorf("%s: %w: ukdbg ls lists them%s", spec, ErrNoGuest, h.hint(spec, guests))
	}
	return Guest{}, &AmbiguousError{spec, found}
}

// is reports whether spec means g.
func (g *Guest) is(spec target.Spec) bool {
	switch spec.Scheme {
	case target.Kraft:
		return g.Manager == vmm.Kraft && (spec.Addr == g.Name || spec.Addr == g.Process.Name)
	case target.Libvirt:
		return g.Manager == vmm.Libvirt && (spec.Addr == g.Name || strings.EqualFold(spec.Addr, g.UUID))
	case target.Firecracker:
		return g.Kind == vmm.Firecracker && spec.Addr == g.Process.Name
	}
	return false
}

// hint says why a kraft guest may have gone unseen: names are known to the user
// who started it.
func (h *Host) hint(spec target.Spec, guests []Guest) string {
	if spec.Scheme != target.Kraft {
		return ""
	}
	for i := range guests {
		if g := &guests[i]; g.Manager == vmm.Kraft && g.UID != h.UID {
			return fmt.Sprintf("; those of uid %d are known here by machine id only: run ukdbg as that user", g.UID)
		}
	}
	return ""
}

// named is the address by name, "" if there is none.
func named(g *Guest) string {
	switch {
	case g.Kind == vmm.Firecracker && g.Name != "" && g.Manager != vmm.Kraft:
		return target.Spec{Scheme: target.Firecracker, Addr: g.Name}.String()
	case g.Manager == vmm.Kraft && g.Name != "":
		return target.Spec{Scheme: target.Kraft, Addr: g.Name}.String()
	case g.Manager == vmm.Libvirt && g.Name != "":
		return target.Spec{Scheme: target.Libvirt, Addr: g.Name}.String()
	}
	return ""
}

func pidAddress(g *Guest) string {
	return target.Spec{Scheme: target.PID, Addr: strconv.Itoa(g.PID)}.String()
}
