//go:build !linux

package fakevmm

import "syscall"

const populate = 0

func endsWithUs() *syscall.SysProcAttr { return nil }
