package gdbstub

import (
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

var (
	// ErrNotStub: what is there does not speak the GDB remote protocol.
	ErrNotStub = errors.New("not a GDB stub")
	// ErrBusy: the stub serves another debugger.
	ErrBusy = errors.New("another debugger is attached")
	// ErrSilent: the connection stands and nothing answers.
	ErrSilent = errors.New("no answer")
	// ErrRunning: the guest runs, and what was asked needs it stopped.
	ErrRunning = errors.New("the guest is running; interrupt it first")
	// ErrMoved: somebody else let the guest run in the middle of a request. It
	// is stopped again; what was read before is of an earlier epoch.
	ErrMoved = errors.New("somebody else resumed the guest meanwhile; it is stopped again")
	// ErrLeft: the target was left or closed.
	ErrLeft = errors.New("the target was left")
	// ErrReadOnly: the session may not change the guest.
	ErrReadOnly = errors.New("the session is read-only: the guest is not changed, stopped or let run for it")
	// ErrNoTerminal: a serial: target is no terminal device.
	ErrNoTerminal = errors.New("not a terminal device")

	errCorrupt = errors.New("corrupt reply")
)

// StubError is the stub's refusal of a packet.
type StubError struct {
	// Packet is the packet as sent, shortened.
	Packet string
	// Code is the reply, such as "E14", or "" for the empty reply, by which
	// a stub says that it does not know the packet.
	Code string
}

func (e *StubError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the stub does not know %q", e.Packet)
	}
	return fmt.Sprintf("the stub answered %s to %q", e.Code, e.Packet)
}

// Unwrap makes an unknown packet target.ErrUnsupported.
func (e *StubError) Unwrap() error {
	if e.Code == "" {
		return target.ErrUnsupported
	}
	return nil
}

// leftBehindError is a failed Dial that had stopped the guest and could not give
// it back.
type leftBehindError struct{ error }

func (e *leftBehindError) Unwrap() error { return e.error }

// LeftBehind reports whether a failed Dial may have left the guest stopped.
func LeftBehind(err error) bool {
	var e *leftBehindError
	return errors.As(err, &e)
}
