package guard

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// ErrShutdown: the guest would end when the client leaves.
var ErrShutdown = errors.New("the guest is shut down when its debugger leaves")

// mortals are VMMs whose guest ends with its debugger, whatever that does, by
// the beginning of their process's name. Firecracker's GDB build shuts the VM
// down, Solo5's hvt tender exits when the client dies, uhyve ends it at a detach.
var mortals = []string{"firecracker", "solo5-hvt", "uhyve"}

// refuseMortal returns ErrShutdown for a stub of such a VMM. It is asked before
// the connection, which may be the harm already.
func refuseMortal(ctx context.Context, spec target.Spec, opt Options) error {
	if opt.AllowShutdown || spec.Scheme != target.TCP && spec.Scheme != target.Unix || !mayBeMortal(spec.String(), opt.hint()) {
		return nil
	}
	list, err := vmm.ByListener(ctx, spec.String())
	if err != nil {
		return nil // not on this host, or not to be seen
	}
	for _, p := range list {
		if isMortal(p.Comm) {
			return fmt.Errorf("%s: %w, and nothing can be done about it with %s (process %d): --allow-guest-shutdown attaches all the same",
				spec, ErrShutdown, p.Comm, p.PID)
		}
	}
	return nil
}

// hint is where the process that listens at a stub is remembered, "" for nowhere.
func (o Options) hint() string {
	if o.State == "" {
		return ""
	}
	return filepath.Join(o.State, "listener")
}

func isMortal(comm string) bool {
	for _, name := range mortals {
		if strings.HasPrefix(comm, name) {
			return true
		}
	}
	return false
}
