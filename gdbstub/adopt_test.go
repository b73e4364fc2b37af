package gdbstub

import (
	"net"
	"os"
	"testing"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/stubtest"
)

// A process died while it attached, with answers to all its questions unread. Whether
// the guest ran before is told by the stop its connecting made, and not by what the
// stub answered to its "?".
func TestAdoptWithAnswersUnread(t *testing.T) {
	for name, running := range map[string]bool{"found running": true, "found paused": false} {
		t.Run(name, func(t *testing.T) {
			s := stubtest.QEMU()
			s.Running = running
			s.Answer = monitorAnswers("7.2.22Debian 1:7.2+dfsg-7", "VM status: paused")
			s.Listen(t)
			conn, err := net.Dial("unix", s.Spec.Addr)
			must(t, err)
			defer conn.Close()
			asked := []string{supported, isQEMU, "?", "qfThreadInfo", "qqemu.PhyMemMode", "qsThreadInfo"}
			var out []byte
			for _, q := range asked {
				out = packet.AppendString(out, q)
			}
			_, err = conn.Write(append([]byte{'+'}, out...))
			must(t, err)
			eventually(t, "all is answered", func() bool { return len(s.Got()) >= len(asked) })
			f, err := conn.(*net.UnixConn).File()
			must(t, err)
			c, err := Adopt(bg, s.Spec, []*os.File{f}, &journal.State{Connecting: true}, Options{})
			must(t, err)
			if ran, known := c.FoundRunning(); ran != running || !known {
				t.Errorf("it ran: %v, %v", ran, known)
			}
			bye, err := c.Leave(bg)
			must(t, err)
			s.Do(func() {
				if s.Running != running || bye.Running != running {
					t.Errorf("it is left running: %v, %+v", s.Running, bye)
				}
			})
		})
	}
}
