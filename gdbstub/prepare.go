package gdbstub

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// Way is a way to a stub whose descriptors exist and on which nothing was sent
// yet: a socket that is not connected, an open device, the pipes of a command.
// A second process that inherits Files before Dial holds the same link from its
// first byte on.
type Way struct {
	spec  target.Spec
	files []*os.File
	reach func(context.Context) (link, error)
	close func()
}

// Prepare makes the descriptors for spec.
func Prepare(ctx context.Context, spec target.Spec) (*Way, error) {
	switch spec.Scheme {
	case target.TCP, target.Unix:
		return prepareSocket(ctx, spec)
	case target.Serial:
		return prepareSerial(spec)
	case target.Exec:
		return prepareExec(spec)
	}
	return nil, fmt.Errorf("target %s is no GDB stub; stubs are reached by tcp, unix, serial or exec", spec)
}

// Files are the descriptors, in the order Adopt wants them. They stay the
// Way's.
func (w *Way) Files() []*os.File { return w.files }

// Close gives the descriptors up.
func (w *Way) Close() {
	if w.close != nil {
		w.close()
		w.close = nil
	}
}

// Dial reaches the stub by w, which is used up, and stops the guest: see Dial.
func (w *Way) Dial(ctx context.Context, opt Options) (*Client, error) {
	defer w.Close()
	if err := opt.Journal.Append(journal.Connecting{At: monotonic()}); err != nil {
		return nil, err
	}
	l, err := w.reach(ctx)
	if err != nil {
		return nil, err
	}
	w.close = nil // the link has them now
	c := newClient(w.spec, opt.withDefaults(), l)
	if s, ok := l.(interface{ since() time.Time }); ok {
		c.began = s.since()
	}
	if err := c.attach(ctx); err != nil {
		if c.giveUp(); c.halts() && !c.Undone() {
			err = &leftBehindError{err}
		}
		return nil, err
	}
	return c, nil
}
