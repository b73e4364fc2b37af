package vmm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// Numbers of capabilities(7).
const (
	capDACOverride   = 1
	capDACReadSearch = 2
	capSysPtrace     = 19
)

// Access says whether this user may read a process's memory.
type Access struct {
	// Read: yes. It was tried: /proc/PID/mem was opened and nothing read, or a
	// byte of its program read.
	Read bool
	// Look: its descriptors, maps and root may be seen, which is enough for a
	// guest's RAM in a memfd or a file.
	Look bool
	// Why says what forbids it, or what must be done without; Fix is the one
	// change that would allow it.
	Why, Fix string
}

// Access tries whether p's memory may be read. The kernel checks that when
// /proc/PID/mem is opened (PTRACE_MODE_ATTACH), and for the descriptors when
// they are listed (PTRACE_MODE_READ): ptrace(2).
func (r Proc) Access(p *Process) Access {
	var a Access
	if d, err := os.Open(r.path(p.PID, "fd")); err == nil {
		_, err = os.Readlink(r.path(p.PID, "exe"))
		a.Look = err == nil
		d.Close()
	}
	f, err := os.Open(r.path(p.PID, "mem"))
	if err == nil {
		f.Close()
		a.Read = true
		return a
	}
	if !errors.Is(err, fs.ErrPermission) {
		a.Why = err.Error()
		return a
	}
	x := r.rights(p.PID)
	a.Why, a.Fix = x.explain()
	// The capability reads memory, though not the other's files in /proc.
	a.Read = x.capable && r == Host && r.readable(p.PID)
	return a
}

// Explain says why reading a process's memory, or its files in /proc, is refused
// to this user, and the one change that would allow it.
func (r Proc) Explain(pid int) (why, change string) { return r.rights(pid).explain() }

// readable tries to read a byte of the first thing a process has mapped, which
// is its program.
func (r Proc) readable(pid int) bool {
	line, _ := r.read(pid, "maps", 64)
	start, _, _ := strings.Cut(string(line), "-")
	addr, err := strconv.ParseUint(start, 16, 64)
	return err == nil && readByte(pid, addr)
}

// rights is what decides about reading another process.
type rights struct {
	euid, egid int
	capable    bool // CAP_SYS_PTRACE is effective
	readsAll   bool // so is CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE
	yama       int  // kernel.yama.ptrace_scope, 0 without Yama

	uid, gid     int  // the other's, -1 if its three ids differ
	owned        bool // its /proc folder is its own: it is dumpable
	capabilities bool // it has some that we do not
	otherNS      bool // it is in another user namespace
}

func (r Proc) rights(pid int) rights {
	x := rights{euid: os.Geteuid(), egid: os.Getegid(), uid: -1, gid: -1, owned: true}
	self, _ := os.ReadFile(filepath.Join(string(r), "self/status"))
	other, _ := r.read(pid, "status", maxStatus)
	ours, theirs := capability(self, "CapEff:"), capability(other, "CapPrm:")
	x.capable = ours&(1<<capSysPtrace) != 0
	x.readsAll = ours&(1<<capDACReadSearch|1<<capDACOverride) != 0
	x.capabilities = theirs&^capability(self, "CapPrm:") != 0
	x.uid, x.gid = oneID(other, "Uid:"), oneID(other, "Gid:")
	if st, err := os.Stat(r.path(pid, ".")); err == nil && x.uid > 0 {
		if n, ok := inode.Of(st); ok {
			x.owned = n.UID == x.uid
		}
	}
	if b, err := os.ReadFile(filepath.Join(string(r), "sys/kernel/yama/ptrace_scope")); err == nil {
		x.yama = max(number(strings.TrimSpace(string(b))), 0)
	}
	user, err := os.Readlink(filepath.Join(string(r), "self/ns/user"))
	its, oerr := os.Readlink(r.path(pid, "ns/user"))
	x.otherNS = err == nil && oerr == nil && user != its
	return x
}

// explain follows the order of the kernel's checks: Yama's refusal of everyone,
// the user, whether the process may be dumped, its capabilities, Yama again.
func (x rights) explain() (why, fix string) {
	const capable = "give ukdbg the capability: sudo setcap cap_sys_ptrace,cap_dac_read_search+ep UKDBG"
	switch {
	case x.yama >= 3:
		return "kernel.yama.ptrace_scope is 3, which refuses everyone",
			"give the VM its RAM in a file, which is read beside it: -object memory-backend-memfd,id=ram,size=…,share=on -machine memory-backend=ram"
	case x.capable && !x.readsAll && (x.uid != x.euid || !x.owned):
		return "CAP_SYS_PTRACE alone does not open another user's files in /proc, so absent pages cannot be told from zeros",
			"add the capability CAP_DAC_READ_SEARCH: sudo setcap cap_sys_ptrace,cap_dac_read_search+ep UKDBG"
	case x.capable:
		return "refused although CAP_SYS_PTRACE is there: another user namespace, or a security module",
			"run ukdbg in the user namespace that started the VMM, outside its security profile"
	case x.euid == 0 && x.uid != 0:
		return "root here lacks CAP_SYS_PTRACE", "add the capability CAP_SYS_PTRACE (container: --cap-add SYS_PTRACE)"
	case x.uid != x.euid && x.uid >= 0 && x.yama == 0 && x.owned:
		return fmt.Sprintf("it runs as uid %d, this is uid %d", x.uid, x.euid), fmt.Sprintf("run as that user: sudo -u '#%d' ukdbg …", x.uid)
	case x.uid != x.euid:
		return fmt.Sprintf("it runs as another user, this is uid %d", x.euid), capable
	case !x.owned:
		return "it may not be dumped (it changed its user or has a protected program file)", capable
	case x.capabilities:
		return "it has capabilities that ukdbg has not", capable
	case x.otherNS:
		return "it runs in another user namespace", "run as root of the host"
	case x.yama > 0:
		return fmt.Sprintf("kernel.yama.ptrace_scope is %d, which demands CAP_SYS_PTRACE", x.yama), capable
	case x.gid != x.egid:
		return fmt.Sprintf("its group is not this one's (gid %d)", x.egid), capable
	}
	return "refused by the kernel, a security module perhaps", capable
}

// capability reads a mask of proc_pid_status(5).
func capability(status []byte, name string) uint64 {
	for line := range bytes.Lines(status) {
		if v, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, _ := strconv.ParseUint(string(bytes.TrimSpace(v)), 16, 64)
			return n
		}
	}
	return 0
}

// oneID is a process's user or group if its real, effective and saved one are
// the same, else -1.
func oneID(status []byte, name string) int {
	for line := range bytes.Lines(status) {
		f := strings.Fields(string(line))
		if len(f) >= 4 && f[0] == name && f[1] == f[2] && f[2] == f[3] {
			return number(f[1])
		}
	}
	return -1
}
