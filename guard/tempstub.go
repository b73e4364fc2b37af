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
)

// tempStub is a stub opened for the time of an attachment.
type tempStub struct {
	stubSocket
	via     qmp.Monitor
	monitor journal.Monitor // the same, as it is journaled
	found   gdbstub.RunState
	opened  bool
}

// TemporaryStub attaches to a VM that has no stub, by one it opens through the
// monitor (QEMU's "gdbserver", on a socket in a folder that only this user may
// enter). Leave detaches, closes the stub and leaves the run state as found, in
// that order. A VM whose command line has a stub is attached to by that: Attach.
func TemporaryStub(ctx context.Context, m qmp.Monitor, opt Options, link gdbstub.Options) (*Attachment, error) {
	var err error
	if m.Path, err = filepath.Abs(m.Path); err != nil { // "ukdbg recover" may run in another folder
		return nil, err
	}
	t := &tempStub{via: m, monitor: journal.Monitor{Path: m.Path, Proto: string(m.Proto)}}
	if t.stubSocket, err = newStub(); err != nil {
		return nil, err
	}
	if opt.Monitor == "" {
		opt.Monitor = m.Path
	}
	a, err := attach(ctx, t.spec(), opt, link, t)
	if err != nil {
		os.RemoveAll(t.dir)
		return nil, err
	}
	return a, nil
}

// open opens the stub, journaled before.
func (t *tempStub) open(ctx context.Context, w *journal.Writer) error {
	var state journal.RunState
	var status string
	err := commands(ctx, t.via, func(hmp human) (err error) {
		if err = stubIsFree(hmp); err == nil {
			state, status, err = runState(hmp)
		}
		return err
	})
	if err != nil {
		return err
	}
	t.found = gdbstub.RunPaused
	if state == journal.Running {
		t.found = gdbstub.RunRunning
	}
	if err := w.Append(journal.TempOpened{TempStub: t.journaled(state, status)}); err != nil {
		return err
	}
	t.opened = true
	_, err = openStub(ctx, t.via, t.stubSocket)
	return err
}

// stubIsFree looks whether the VM has a stub already, opened through the monitor
// since it started: a VM has one at most, and opening another would take it away
// from whoever uses it. One that a dead ukdbg left is nobody's.
func stubIsFree(hmp human) error {
	at, free, err := stubOf(hmp, "")
	switch {
	case err != nil || at == "":
		return err
	case !free:
		return fmt.Errorf("%w: somebody is connected to a stub of this VM at %.200q", gdbstub.ErrBusy, at)
	case !strings.Contains(at, stubDir):
		return fmt.Errorf("%w: somebody has opened a stub of this VM at %.200q; attach to that", gdbstub.ErrBusy, at)
	}
	return nil
}

// nobodyDebugs looks whether somebody else has attached to the VM since its debugger
// and guard died: to take the stub away would end that session, and let the guest go
// under its hands. spec is the stub's address.
func nobodyDebugs(hmp human, spec string) error {
	at, free, err := stubOf(hmp, spec)
	if err == nil && at != "" && !free {
		err = fmt.Errorf("%w: another debugger is connected to the stub at %.200q: end that session and recover again", gdbstub.ErrBusy, at)
	}
	return err
}

// stubOf is where the VM's stub listens, "" if it has none; free says that nobody is
// connected to it. One on a chardev of its own (-gdb chardev:ID) is known by spec.
func stubOf(hmp human, spec string) (at string, free bool, err error) {
	text, err := hmp("info chardev")
	if err != nil {
		return "", false, err
	}
	for line := range strings.Lines(text) {
		label, at, ok := strings.Cut(line, ": filename=")
		if !ok {
			continue
		}
		at, free = strings.CutPrefix(strings.TrimSpace(at), "disconnected:")
		at, _, _ = strings.Cut(at, ",")
		if label == "gdb" || spec != "" && sameStub(at, spec) {
			return at, free, nil
		}
	}
	return "", false, nil
}

// sameStub compares the address a VMM listens at with one that leads to it: of a TCP
// socket only the port is the same for certain.
func sameStub(at, spec string) bool {
	port := func(s string) string { return s[strings.LastIndexByte(s, ':')+1:] }
	return at == spec || strings.HasPrefix(at, "tcp:") && strings.HasPrefix(spec, "tcp:") && port(at) == port(spec)
}

func (t *tempStub) journaled(found journal.RunState, status string) journal.TempStub {
	return journal.TempStub{Monitor: t.monitor, Dir: t.dir, Socket: t.socket(), Found: found, Status: status}
}

// close closes the stub; the client has left it.
func (t *tempStub) close(ctx context.Context, w *journal.Writer) error {
	if !t.opened {
		return os.RemoveAll(t.dir)
	}
	found := journal.Paused
	if t.found == gdbstub.RunRunning {
		found = journal.Running
	}
	j := t.journaled(found, "")
	if err := closeTemp(context.WithoutCancel(ctx), t.via, &j, false); err != nil {
		return err
	}
	t.opened = false
	return w.Append(journal.TempClosed{})
}

// closeTemp closes a temporary stub and removes its folder. connected: all that
// is known is that somebody may have connected to it, which stops a VM; then a
// plain stop of one that ran is ended.
func closeTemp(ctx context.Context, via qmp.Monitor, t *journal.TempStub, connected bool) error {
	err := closeStub(ctx, via)
	if err == nil && connected && t.Found == journal.Running {
		err = commands(ctx, via, resume)
	}
	switch {
	case errors.Is(err, qmp.ErrGone), nobodyThere(err):
		return os.RemoveAll(t.Dir) // the VMM is gone, and the stub with it
	case err != nil:
		return fmt.Errorf("closing the temporary stub: %w", err)
	}
	return os.RemoveAll(t.Dir)
}
