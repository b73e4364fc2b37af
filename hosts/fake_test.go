package hosts

import (
	"context"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/internal/proctest"
	"github.com/ukdbg/ukdbg/vmm"
)

// fake is a made-up host.
type fake struct {
	*Host
	*proctest.Proc
	t *testing.T
	// asked counts the questions to kraft.
	asked int
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, Proc: proctest.New(t)}
	f.Host = &Host{Proc: vmm.Proc(f.Dir), UID: 1000, LibvirtDirs: []string{f.Dir + "/libvirt"},
		Kraft: func(context.Context) ([]byte, error) { f.asked++; return nil, errors.New("no kraft here") }}
	return f
}

func (f *fake) process(pid int, uid uint32, args ...string) { f.Process(pid, uid, args) }

// kraftVM is what kraft starts.
func (f *fake) kraftVM(pid int, uid uint32, id string) {
	state := f.Dir + "/kraft/" + id
	f.process(pid, uid, "qemu-system-x86_64", "-name", id, "-S", "-pidfile", state+"/machine.pid",
		"-qmp", "unix:"+state+"/qemu_control.sock,server,nowait", "-qmp", "unix:"+state+"/qemu_events.sock,server,nowait",
		"-monitor", "unix:"+state+"/qemu_mon.sock,server,nowait", "-serial", "file:"+state+"/machine.log")
}

func (f *fake) guests() []Guest {
	f.t.Helper()
	list, err := f.List(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}
