//go:build linux

package guestram

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/vmm"
)

// AccessError says that this user may not look into a VMM's process, and the
// one change that would allow it.
type AccessError struct {
	PID int
	// What was refused: "its memory", "its open files".
	What string
	// Why is the rule that refuses, Change what to do about it.
	Why, Change string
	Err         error
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("process %d: reading %s is refused: %s; %s", e.PID, e.What, e.Why, e.Change)
}

func (e *AccessError) Unwrap() error { return e.Err }

// denied says what an error of /proc or of process_vm_readv means.
func (p *Process) denied(what string, err error) error {
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("process %d: %w", p.pid, ErrVanished)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
	default:
		return fmt.Errorf("process %d: reading %s: %w", p.pid, what, err)
	}
	e := &AccessError{PID: p.pid, What: what, Err: err}
	e.Why, e.Change = vmm.Host.Explain(p.pid)
	return e
}
