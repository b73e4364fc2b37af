//go:build !linux

package qmp

import "net"

// serverOf tells nothing where the kernel does not.
func serverOf(*net.UnixConn) (pid int, own uint64) { return 0, 0 }

// holder cannot tell who holds a monitor.
func holder(path string, _ uint64) error { return &InUseError{Path: path} }
