package fakevmm

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// populate has pages present from the start, as a guest's that ran are.
const populate = unix.MAP_POPULATE

// endsWithUs makes a fake end when we do, even by kill -9.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
