package demo

import "syscall"

// endsWithUs makes the guest end when we do, even by kill -9.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
