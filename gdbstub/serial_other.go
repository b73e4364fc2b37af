//go:build !linux

package gdbstub

import (
	"fmt"
	"runtime"

	"github.com/ukdbg/ukdbg/target"
)

func openSerial(spec target.Spec) (link, error) {
	return nil, fmt.Errorf("%s: serial lines are not supported on %s; reach the line through a TCP bridge", spec, runtime.GOOS)
}
