//go:build !linux

package demo

import "syscall"

func endsWithUs() *syscall.SysProcAttr { return nil }
