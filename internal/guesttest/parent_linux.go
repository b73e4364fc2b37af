package guesttest

import "syscall"

// dieWithParent ends QEMU when the test binary is killed, so that none is left behind.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
