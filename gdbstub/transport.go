package gdbstub

import (
	"io"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// link is a stream of bytes to a stub. Close makes a blocked Read return.
type link interface {
	io.ReadWriteCloser
	SetWriteDeadline(t time.Time) error
}

func listenHint(spec target.Spec) string {
	if spec.Scheme == target.Unix {
		return "unix:" + spec.Addr + ",server=on,wait=off"
	}
	return "tcp:" + spec.Addr
}
