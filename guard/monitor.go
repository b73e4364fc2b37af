package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// byMonitor undoes what a link does not let be undone any more: a stub of our
// own, opened through the monitor, takes the place of the one that hangs. QEMU
// keeps breakpoints when its stub's connection goes, under KVM in the guest's
// memory; a new client's "?" removes them, there too.
func (u *undoing) byMonitor(ctx context.Context, m journal.Monitor, rep *Report) error {
	s, err := newStub()
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	via := monitorOf(m)
	if u.orphan {
		err := commands(ctx, via, func(hmp human) error { return nobodyDebugs(hmp, u.st.Spec) })
		if err != nil {
			return err
		}
	}
	state, err := openStub(ctx, via, s)
	if err != nil {
		return err
	}
	opt := gdbstub.Options{Found: gdbstub.RunPaused}
	if state == journal.Running {
		opt.Found = gdbstub.RunRunning
	}
	err = u.dial(ctx, s.spec(), opt, rep)
	// The VMM's own stub comes back, whatever happened.
	if e := closeStub(ctx, via); e != nil {
		err = errors.Join(err, fmt.Errorf("closing the temporary stub: %w", e))
	} else if g := u.st.VMM.GDB; len(g) > 0 && u.st.Temp == nil {
		var said string
		e := commands(ctx, via, func(hmp human) (err error) {
			said, err = hmp("gdbserver " + g[0])
			return err
		})
		if e != nil || !strings.HasPrefix(said, "Waiting for gdb") {
			rep.Note = join(rep.Note, fmt.Sprintf("the VMM's own stub at %s could not be put back: %.80s %v", g[0], strings.TrimSpace(said), e))
		}
	}
	if err != nil {
		return fmt.Errorf("through the monitor %s: %w", m.Path, err)
	}
	return nil
}

// human runs one line of the human monitor and returns what it printed.
type human func(line string) (string, error)

// monitorOf is a monitor of the journal's.
func monitorOf(m journal.Monitor) qmp.Monitor {
	return qmp.Monitor{Path: m.Path, Proto: qmp.Proto(m.Proto)}
}

// commands runs f with the monitor, which is not held longer. f is a few commands
// that belong together: others are not let in between.
func commands(ctx context.Context, m qmp.Monitor, f func(human) error) error {
	return m.Do(ctx, func(c *qmp.Conn) error {
		return f(func(line string) (string, error) { return c.HMP(ctx, line) })
	})
}

// openStub opens a stub and returns how the VM was before. QEMU refuses a second
// stub, so the one there is goes first; that stops the VM if somebody is
// connected to it.
func openStub(ctx context.Context, m qmp.Monitor, s stubSocket) (state journal.RunState, err error) {
	var said string
	err = commands(ctx, m, func(hmp human) (err error) {
		if state, _, err = runState(hmp); err != nil {
			return err
		}
		if _, err = hmp("gdbserver none"); err == nil {
			said, err = hmp("gdbserver unix:" + s.socket() + ",server=on,wait=off")
		}
		return err
	})
	if err != nil {
		return state, fmt.Errorf("opening a temporary stub: %w", err)
	}
	if _, err := os.Stat(s.socket()); err != nil {
		return state, fmt.Errorf("opening a temporary stub: monitor %s said %.80q, and no socket came to be", m.Path, strings.TrimSpace(said))
	}
	return state, nil
}

// closeStub closes the stub its client has left. QEMU may not have noticed that
// yet, and then stops the VM.
func closeStub(ctx context.Context, m qmp.Monitor) error {
	return commands(ctx, m, func(hmp human) error {
		before, _, err := runState(hmp)
		if err != nil {
			return err
		}
		if _, err := hmp("gdbserver none"); err != nil || before != journal.Running {
			return err
		}
		return resume(hmp)
	})
}

// resume lets a VM run that was stopped as a stub stops it, and no other.
func resume(hmp human) error {
	_, status, err := runState(hmp)
	if err != nil || status != "paused" {
		return err
	}
	if _, err := hmp("cont"); err != nil {
		return fmt.Errorf("letting the guest run again: %w", err)
	}
	return nil
}

// runState asks how the VM is. status is what is said after "VM status:".
func runState(hmp human) (state journal.RunState, status string, err error) {
	text, err := hmp("info status")
	if err != nil {
		return journal.Unknown, "", err
	}
	_, status, ok := strings.Cut(text, "VM status: ")
	status, _, _ = strings.Cut(status, "\n")
	status = strings.TrimSpace(status[:min(len(status), 80)])
	switch {
	case ok && strings.HasPrefix(status, "running"):
		return journal.Running, status, nil
	case ok && strings.HasPrefix(status, "paused"):
		return journal.Paused, status, nil
	}
	return journal.Unknown, status, fmt.Errorf("the monitor says %.60q of the VM's state", text)
}

// stubSocket is a stub of our own in a folder of our own.
type stubSocket struct{ dir string }

// stubDir begins the name of every such folder.
const stubDir = "ukdbg-stub-"

// newStub makes the folder for a stub's socket, which only this user may enter.
func newStub() (stubSocket, error) {
	dir, err := os.MkdirTemp("", stubDir)
	if err != nil {
		return stubSocket{}, fmt.Errorf("a folder for a temporary stub: %w", err)
	}
	return stubSocket{dir}, nil
}

func (s stubSocket) socket() string { return filepath.Join(s.dir, "gdb") }

func (s stubSocket) spec() target.Spec { return target.Spec{Scheme: target.Unix, Addr: s.socket()} }
