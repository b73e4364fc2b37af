package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// imagePatience is for how long a guest may stand while its image is read. Nearly
// all images are read in less, beside the handshake with the stub.
const imagePatience = 25 * time.Millisecond

// awaitImage waits until the image is read. A guest that would stand for it, because
// the disk is slow or the image huge, is let run meanwhile and stopped again.
func (s *Session) awaitImage(ctx context.Context, read <-chan struct{}) error {
	select {
	case <-read:
		return nil
	case <-time.After(imagePatience):
	}
	if !s.standsForUs() {
		<-read
		return nil
	}
	run := profiler.Control(s.live)
	err := run.Resume(ctx)
	<-read
	if err != nil {
		return mark(fmt.Errorf("letting the guest run while its image is read: %w", err), ErrUnreachable)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptPatience)
	defer cancel()
	at, _, err := run.Stop(stop)
	switch {
	case errors.Is(err, profiler.ErrEnded):
		return mark(fmt.Errorf("%w while its image was read", err), ErrUnreachable)
	case err != nil:
		return mark(fmt.Errorf("stopping the guest again after its image was read: %w", err), ErrUnreachable)
	}
	s.stopCPU = at.CPU
	return nil
}

// standsForUs reports whether the guest ran before it was reached, stands now, and
// can be stopped again.
func (s *Session) standsForUs() bool {
	l, ok := s.live.(interface {
		FoundRunning() (running, known bool)
		Interruptible() error
	})
	if !ok || s.live.(target.Controller).Running() {
		return false
	}
	running, known := l.FoundRunning()
	return known && running && l.Interruptible() == nil
}
