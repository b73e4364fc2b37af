package guard

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/qmp"
)

// Held is a VMM's setting that was changed and is put back, by Release, by the
// guard if this process dies first, or by "ukdbg recover". It needs no stub and
// stops nothing.
type Held struct {
	mu       sync.Mutex
	w        *journal.Writer // nil when all is put back
	guard    *watcher
	dir      folder
	settings []journal.Setting
}

// HoldShutdown makes a VMM pause its VM where it would end it, as
// Attachment.HoldShutdown does, without an attachment.
func HoldShutdown(ctx context.Context, m qmp.Monitor, opt Options) (*Held, error) {
	if opt.Command == nil || opt.State == "" {
		return nil, fmt.Errorf("holding the VM's shutdown: %w", ErrNoGuard)
	}
	var err error
	if m.Path, err = filepath.Abs(m.Path); err != nil { // "ukdbg recover" may run in another folder
		return nil, err
	}
	spec := "qmp:" + m.Path
	for _, rep := range recoverAll(ctx, opt, func(st *journal.State) bool { return st.Spec == spec }) {
		if opt.Told != nil {
			opt.Told(rep)
		}
	}
	h := &Held{}
	if h.dir, err = newFolder(opt.State); err != nil {
		return nil, err
	}
	b := journal.Begin{Spec: spec, Client: self(), Created: time.Now(), Verb: opt.Verb, Monitor: m.Path, Boot: thisBoot(), SinceBoot: sinceBoot()}
	if h.w, err = journal.Create(h.dir.journal(), b); err != nil {
		h.dir.remove()
		return nil, fmt.Errorf("the guard's journal: %w", err)
	}
	if h.guard, err = watch(opt, h.dir, h.w, nil); err != nil {
		err = errors.Join(fmt.Errorf("starting the guard: %w", err), h.w.Close())
		h.dir.remove()
		return nil, err
	}
	s, err := holdShutdown(ctx, h.w, m)
	h.settings = s
	if err != nil {
		var busy *qmp.InUseError
		var refused *qmp.CommandError
		if errors.As(err, &busy) || errors.As(err, &refused) || nobodyThere(err) {
			h.settings = nil // nothing was asked of it, or it did nothing
		}
		// Else it may have been done all the same.
		return nil, errors.Join(err, h.Release(context.WithoutCancel(ctx)))
	}
	return h, nil
}

// Release puts the setting back. One of a VMM that is gone is gone with it. With
// an error the guard goes on trying when this process ends.
func (h *Held) Release(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.w == nil {
		return nil
	}
	if err := putBack(ctx, h.w, h.settings); err != nil {
		return err
	}
	h.settings = nil
	if err := h.w.Append(journal.Left{}); err != nil {
		return err
	}
	h.guard.farewell()
	err := h.w.Close()
	h.dir.remove()
	h.w = nil
	return err
}
