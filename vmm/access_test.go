package vmm

import (
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	same := rights{euid: 1000, egid: 1000, uid: 1000, gid: 1000, owned: true}
	change := func(f func(*rights)) rights { x := same; f(&x); return x }
	for _, c := range []struct {
		name     string
		x        rights
		why, fix string
	}{
		{"yama refuses all", change(func(x *rights) { x.yama, x.capable = 3, true }), "refuses everyone", "memory-backend-memfd"},
		{"yama wants the capability", change(func(x *rights) { x.yama = 1 }), "ptrace_scope is 1", "setcap"},
		{"another user", change(func(x *rights) { x.uid = 64055 }), "uid 64055, this is uid 1000", "sudo -u '#64055'"},
		{"another user and yama", change(func(x *rights) { x.uid, x.yama = 64055, 1 }), "another user", "setcap"},
		{"its ids differ", change(func(x *rights) { x.uid = -1 }), "another user", "setcap"},
		{"another user, the capability alone", change(func(x *rights) { x.uid, x.capable = 0, true }), "CAP_SYS_PTRACE alone", "CAP_DAC_READ_SEARCH"},
		{"capable and refused", change(func(x *rights) { x.capable, x.readsAll = true, true }), "security module", "namespace"},
		{"root without it", change(func(x *rights) { x.euid = 0 }), "root here lacks", "SYS_PTRACE"},
		{"not dumpable", change(func(x *rights) { x.owned = false }), "may not be dumped", "setcap"},
		{"more capable than we", change(func(x *rights) { x.capabilities = true }), "capabilities", "setcap"},
		{"another user namespace", change(func(x *rights) { x.otherNS = true }), "user namespace", "root of the host"},
		{"another group", change(func(x *rights) { x.gid = 7 }), "group", "setcap"},
	} {
		if why, fix := c.x.explain(); !strings.Contains(why, c.why) || !strings.Contains(fix, c.fix) {
			t.Errorf("%s: %q, %q", c.name, why, fix)
		}
	}
}

func TestRights(t *testing.T) {
	f := newFake(t)
	f.Process(9, 77, []string{"qemu-system-x86_64"})
	f.Write("9/status", "Uid:\t77\t77\t77\t77\nGid:\t5\t6\t5\t5\nCapPrm:\t0000000000003000\n")
	f.Write("self/status", "CapEff:\t0000000000080004\nCapPrm:\t0000000000001000\n")
	f.Write("sys/kernel/yama/ptrace_scope", "2\n")
	p := f.byPID(9)
	x := f.proc().rights(p.PID)
	if !x.capable || !x.readsAll || x.yama != 2 || x.uid != 77 || x.gid != -1 || x.owned || !x.capabilities {
		t.Errorf("%+v", x)
	}
}
