package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/qmp"
)

// A setting's undoing is a QMP command and its arguments as JSON, after this
// word: what is set has no command of the human monitor.
const undoQMP = "qmp "

// ErrNoGuard says that there is no guard to put back what is to be set.
var ErrNoGuard = errors.New("there is no guard to put it back")

// HoldShutdown makes the VMM pause the VM where it would end it, so that what is
// left of it can be looked at (QMP set-action, QEMU 6.0). It is put back by Leave,
// by the guard if this process dies, or by "ukdbg recover".
func (a *Attachment) HoldShutdown(ctx context.Context, m qmp.Monitor) error {
	if a.w == nil {
		return fmt.Errorf("holding the VM's shutdown: %w", ErrNoGuard)
	}
	s, err := holdShutdown(ctx, a.w, m)
	a.settings = append(a.settings, s...)
	return err
}

// holdShutdown changes the setting, journaled before, and returns what there is to
// put back.
func holdShutdown(ctx context.Context, w *journal.Writer, m qmp.Monitor) ([]journal.Setting, error) {
	if m.Proto == qmp.HMP {
		return nil, errors.New("holding the VM's shutdown: the monitor is a human one, and only QMP has set-action")
	}
	s := journal.Setting{Monitor: journal.Monitor{Path: m.Path, Proto: string(qmp.QMP)}, Undo: []string{undoQMP + `set-action {"shutdown":"poweroff"}`}}
	if err := w.Append(s); err != nil {
		return nil, err
	}
	err := m.Do(ctx, func(c *qmp.Conn) error {
		return c.Execute(ctx, "set-action", map[string]string{"shutdown": "pause"}, nil)
	})
	if err != nil {
		err = fmt.Errorf("holding the VM's shutdown: %w", err)
	}
	return []journal.Setting{s}, err
}

// putBack undoes settings, the newest first, each noted in the journal. Those of a
// VMM that is gone went with it.
func putBack(ctx context.Context, w *journal.Writer, settings []journal.Setting) error {
	for i := len(settings) - 1; i >= 0; i-- {
		s := settings[i]
		err := qmp.Monitor{Path: s.Monitor.Path, Proto: qmp.Proto(s.Monitor.Proto)}.Do(ctx, func(c *qmp.Conn) error {
			for _, line := range s.Undo {
				if err := undoLine(ctx, c, line); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, qmp.ErrGone) && !nobodyThere(err) {
			return fmt.Errorf("putting back what was set through %s: %w", s.Monitor.Path, err)
		}
		_ = w.Append(journal.SettingBack{}) // Left says the same in a moment
	}
	return nil
}

func undoLine(ctx context.Context, c *qmp.Conn, line string) error {
	rest, ok := strings.CutPrefix(line, undoQMP)
	if !ok {
		_, err := c.HMP(ctx, line)
		return err
	}
	command, arguments, _ := strings.Cut(rest, " ")
	return c.Execute(ctx, command, json.RawMessage(arguments), nil)
}
