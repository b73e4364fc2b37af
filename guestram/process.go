//go:build linux

package guestram

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrVanished says that the VMM's process has ended.
var ErrVanished = errors.New("the VMM's process has ended")

// Process is a VMM's process, held by a pidfd so that a later process of the
// same number is never taken for it.
type Process struct {
	pid   int
	start uint64
	fd    int // pidfd, -1 where the kernel has none
}

// OpenProcess opens a process by its number.
func OpenProcess(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("process %d: %w", pid, ErrVanished)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		fd = -1 // an old kernel, or a filter that does not know the call
	case err != nil:
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	p := &Process{pid: pid, fd: fd}
	if p.start, err = startTime(pid); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.pid }

// StartTime is when it started, in clock ticks since boot.
func (p *Process) StartTime() uint64 { return p.start }

// Close lets go of the process.
func (p *Process) Close() error {
	if p.fd < 0 {
		return nil
	}
	fd := p.fd
	p.fd = -1
	return unix.Close(fd)
}

// Alive returns an error that is ErrVanished if the process has ended.
func (p *Process) Alive() error {
	gone := fmt.Errorf("process %d: %w", p.pid, ErrVanished)
	if p.fd < 0 {
		if now, err := startTime(p.pid); err != nil || now != p.start {
			return gone
		}
		return nil
	}
	// A pidfd becomes readable when its process ends.
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("process %d: %w", p.pid, err)
		case n > 0:
			return gone
		default:
			return nil
		}
	}
}

func (p *Process) path(name string) string { return "/proc/" + strconv.Itoa(p.pid) + "/" + name }

// startTime is field 22 of /proc/PID/stat; the name in field 2 may hold anything.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("process %d: %w", pid, ErrVanished)
	}
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("process %d: its stat has %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d: %w", pid, ErrVanished)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
