package vmm_test

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/vmm"
)

func TestRealQEMU(t *testing.T) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", QMP: true, Paused: true, MemMiB: 96,
		Args: []string{"-name", "shop"}})
	ctx := context.Background()
	list, err := vmm.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var p vmm.Process
	for _, x := range list {
		if x.PID == vm.Pid() {
			p = x
		}
	}
	if p.Kind != vmm.QEMU || p.Arch != "x86_64" || p.Name != "shop" || p.Kernel != vm.Boot || p.MemoryMiB != 96 || !p.Paused ||
		p.UID != uint32(os.Getuid()) || p.StartTime == 0 || len(p.Unseen) != 0 {
		t.Errorf("%+v", p)
	}
	if len(p.GDB) != 1 || p.GDB[0] != vm.GDBAddr() {
		t.Errorf("stub %q, want %s", p.GDB, vm.GDBAddr())
	}
	if u := p.Usable(); len(u) != 2 || u[1].Path != vm.QMPPath {
		t.Errorf("monitors: %+v", u)
	}
	for _, addr := range []string{vm.GDBAddr(), "unix:" + vm.QMPPath} {
		who, err := vmm.ByListener(ctx, addr)
		if err != nil || len(who) != 1 || !who[0].Same(&p) {
			t.Errorf("%s: %+v, %v", addr, who, err)
		}
	}
	c, err := net.Dial("unix", vm.QMPPath)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Its greeting: from then on it has taken the connection.
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	who, err := vmm.ClientsOf(ctx, vm.QMPPath)
	if err != nil || len(who) != 1 || who[0].PID != os.Getpid() {
		t.Errorf("clients: %+v, %v", who, err)
	}
}
