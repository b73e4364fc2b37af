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
	s, err := newStub(m)
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	said, err := hmp(ctx, m, s.openLine())
	if err != nil {
		return err
	}
	opened := gdbstub.Options{}
	err = u.dial(ctx, s.spec(), opened, rep)
	// The VMM's own stub comes back, whatever happened.
	back := "gdbserver none"
	for _, addr := range u.st.VMM.GDB {
		if addr != "" && u.st.Temp == nil {
			back = "gdbserver " + listenAt(addr)
			break
		}
	}
	if _, e := hmp(ctx, m, back); e != nil {
		err = errors.Join(err, fmt.Errorf("putting the VMM's own stub back: %w", e))
	}
	if err != nil {
		return fmt.Errorf("through the monitor %s (%s): %w", m.Path, strings.TrimSpace(said), err)
	}
	return nil
}

// listenAt is QEMU's specification of a stub that listens at addr.
func listenAt(addr string) string {
	if strings.HasPrefix(addr, "unix:") {
		return addr + ",server=on,wait=off"
	}
	return addr
}

// hmp runs one line of the human monitor and returns what it printed.
func hmp(ctx context.Context, m journal.Monitor, line string) (text string, err error) {
	err = qmp.Monitor{Path: m.Path, Proto: qmp.Proto(m.Proto)}.Do(ctx, func(c *qmp.Conn) error {
		var err error
		text, err = c.HMP(ctx, line)
		return err
	})
	return text, err
}

// runState asks the monitor how the VM is. status is what it says after
// "VM status:".
func runState(ctx context.Context, m journal.Monitor) (state journal.RunState, status string, err error) {
	text, err := hmp(ctx, m, "info status")
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
	return journal.Unknown, status, fmt.Errorf("monitor %s: it says %.60q of the VM's state", m.Path, text)
}

// stubSocket is a stub of our own in a folder of our own.
type stubSocket struct{ dir string }

// newStub makes the folder for a stub's socket, which only this user may enter.
func newStub(journal.Monitor) (stubSocket, error) {
	dir, err := os.MkdirTemp("", "ukdbg-stub-")
	if err != nil {
		return stubSocket{}, fmt.Errorf("a folder for a temporary stub: %w", err)
	}
	return stubSocket{dir}, nil
}

func (s stubSocket) socket() string { return filepath.Join(s.dir, "gdb") }

func (s stubSocket) spec() target.Spec { return target.Spec{Scheme: target.Unix, Addr: s.socket()} }

func (s stubSocket) openLine() string { return "gdbserver " + listenAt("unix:"+s.socket()) }
