//go:build !linux

package guesttest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
