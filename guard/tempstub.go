package guard

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/qmp"
)

// tempStub is a stub opened for the time of an attachment.
type tempStub struct {
	stubSocket
	monitor journal.Monitor
	found   gdbstub.RunState
	opened  bool
}

// TemporaryStub attaches to a VM that has no stub, by one it opens through the
// monitor (QEMU's "gdbserver", on a socket in a folder that only this user may
// enter). Leave detaches, closes the stub and leaves the run state as found, in
// that order. A VM whose command line has a stub is attached to by that: Attach.
func TemporaryStub(ctx context.Context, m qmp.Monitor, opt Options, link gdbstub.Options) (*Attachment, error) {
	t := &tempStub{monitor: journal.Monitor{Path: m.Path, Proto: string(m.Proto)}}
	var err error
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
	err := commands(ctx, t.monitor, func(hmp human) (err error) {
		state, status, err = runState(hmp)
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
	_, err = openStub(ctx, t.monitor, t.stubSocket)
	return err
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
	if err := closeTemp(context.WithoutCancel(ctx), &j, false); err != nil {
		return err
	}
	t.opened = false
	return w.Append(journal.TempClosed{})
}

// closeTemp closes a temporary stub and removes its folder. connected: all that
// is known is that somebody may have connected to it, which stops a VM; then a
// plain stop of one that ran is ended.
func closeTemp(ctx context.Context, t *journal.TempStub, connected bool) error {
	err := closeStub(ctx, t.Monitor)
	if err == nil && connected && t.Found == journal.Running {
		err = commands(ctx, t.Monitor, resume)
	}
	switch {
	case errors.Is(err, qmp.ErrGone), nobodyThere(err):
		return os.RemoveAll(t.Dir) // the VMM is gone, and the stub with it
	case err != nil:
		return fmt.Errorf("closing the temporary stub: %w", err)
	}
	return os.RemoveAll(t.Dir)
}
