//go:build linux

package guestram

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// AccessError says that this user may not look into a VMM's process, and the
// one change that would allow it.
type AccessError struct {
	PID int
	// What was refused: "its memory", "its open files".
	What string
	// Why is the rule that refuses, Change what to do about it.
	Why, Change string
	Err         error
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("process %d: reading %s is refused: %s; %s", e.PID, e.What, e.Why, e.Change)
}

func (e *AccessError) Unwrap() error { return e.Err }

// denied says what an error of /proc or of process_vm_readv means.
func (p *Process) denied(what string, err error) error {
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("process %d: %w", p.pid, ErrVanished)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
	default:
		return fmt.Errorf("process %d: reading %s: %w", p.pid, what, err)
	}
	e := &AccessError{PID: p.pid, What: what, Err: err}
	e.Why, e.Change = explain(p.facts())
	return e
}

// accessFacts are what the kernel decides by: ptrace(2), "Ptrace access mode
// checking".
type accessFacts struct {
	uid, theirs int
	theirsKnown bool
	ptrace      bool // we have CAP_SYS_PTRACE
	readAll     bool // we have CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE
	yama        int  // kernel.yama.ptrace_scope, 0 without Yama
	undumpable  bool // its files in /proc are root's although it is not
	otherNS     bool // it is in another user namespace
}

// Capability numbers of linux/capability.h.
const (
	capDACOverride = 1
	capDACReadAll  = 2
	capSysPtrace   = 19
)

func (p *Process) facts() accessFacts {
	f := accessFacts{uid: os.Geteuid()}
	caps := effectiveCaps()
	f.ptrace = caps&(1<<capSysPtrace) != 0
	f.readAll = caps&(1<<capDACReadAll|1<<capDACOverride) != 0
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			f.yama = n
		}
	}
	if b, err := os.ReadFile(p.path("status")); err == nil {
		if w := strings.Fields(field(string(b), "Uid:")); len(w) >= 2 {
			f.theirs, err = strconv.Atoi(w[1])
			f.theirsKnown = err == nil
		}
	}
	var st unix.Stat_t
	if f.theirsKnown && unix.Stat(p.path("fd"), &st) == nil {
		f.undumpable = int(st.Uid) != f.theirs
	}
	ours, err1 := os.Readlink("/proc/self/ns/user")
	their, err2 := os.Readlink(p.path("ns/user"))
	f.otherNS = err1 == nil && err2 == nil && ours != their
	return f
}

// effectiveCaps is the set of capabilities in force here.
func effectiveCaps() uint64 {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0
	}
	v, err := strconv.ParseUint(strings.TrimSpace(field(string(b), "CapEff:")), 16, 64)
	if err != nil {
		return 0
	}
	return v
}

// field returns what follows a name at the start of a line.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return rest
		}
	}
	return ""
}

// explain names the rule that refuses and the one change that lifts it.
func explain(f accessFacts) (why, change string) {
	const setcap = "setcap cap_sys_ptrace,cap_dac_read_search=ep on ukdbg"
	switch {
	case f.yama >= 3:
		return "kernel.yama.ptrace_scope is 3, which refuses everybody until the next boot",
			"give the VM a shared memory backend (memory-backend-memfd,share=on), which is read through its file"
	case f.ptrace && !f.readAll:
		return "CAP_SYS_PTRACE alone does not open the files of another user's process",
			"add CAP_DAC_READ_SEARCH: " + setcap
	case f.ptrace:
		return "a security module or another user namespace refuses it",
			"run ukdbg in the namespace of the VMM, or look at the kernel's audit log"
	case f.theirsKnown && f.uid != f.theirs:
		return fmt.Sprintf("it runs as user %d, this is user %d", f.theirs, f.uid),
			fmt.Sprintf("run as user %d, or %s", f.theirs, setcap)
	case f.yama > 0:
		return fmt.Sprintf("kernel.yama.ptrace_scope is %d", f.yama),
			"give ukdbg the capability: " + setcap
	case f.undumpable:
		return "the VMM gave up its dumpable state (it changed users or has capabilities)", setcap
	case f.otherNS:
		return "it runs in another user namespace", "run as root of the host, or " + setcap
	}
	return "the kernel does not say why", setcap
}
