//go:build !linux

package gdbstub

import (
	"fmt"
	"os"
	"runtime"

	"github.com/ukdbg/ukdbg/target"
)

func prepareSerial(spec target.Spec) (*Way, error) {
	return nil, fmt.Errorf("%s: serial lines are not supported on %s; reach the line through a TCP bridge", spec, runtime.GOOS)
}

func inheritSerial(f *os.File) link { return f }
