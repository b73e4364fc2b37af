package guesttest

import "syscall"

// attributes end QEMU when the test binary is killed, so that none is left behind, and make it another user's.
func attributes(uid int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid != 0 {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	return a
}
