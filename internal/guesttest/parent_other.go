//go:build !linux

package guesttest

import "syscall"

func attributes(int) *syscall.SysProcAttr { return nil }
