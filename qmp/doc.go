// Package qmp talks to the monitor of a VMM: QEMU's machine protocol (QMP) and
// its human monitor (HMP), on a unix socket.
//
// A QEMU monitor serves one client at a time, and a client that stays keeps
// everybody else out. So a Monitor is never held: Do connects, runs what it is
// given, and closes; a long row of commands yields to others in between, and a
// Meter tells for how long others had to wait. Nothing is sent that stops the guest unless the caller
// asks for it, and the events seen meanwhile are kept, so that a caller can
// prove it.
//
// What the monitor says is checked like everything else that comes from a
// guest's side: lines and answers are limited, and a monitor that says nothing
// is given up after a time.
//
// Typical use:
//
//	m := qmp.Monitor{Path: "/run/vm.qmp"}
//	err := m.Do(ctx, func(c *qmp.Conn) error {
//		text, err := c.HMP(ctx, "info registers -a")
//		...
//	})
//	var busy *qmp.InUseError // somebody else holds it
//
// Specification: docs/interop/qmp-spec.rst and docs/system/monitor.rst of QEMU;
// HMP's echo and editing sequences are those of util/readline.c.
package qmp
