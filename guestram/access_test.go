//go:build linux

package guestram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Numbers of capabilities(7).
const (
	capDACReadAll = 2
	capSysPtrace  = 19
)

// outcome is what a reader with other rights found.
type outcome struct {
	Anon, Memfd string // "" if it was read, else the error
	Change      string // of an AccessError
	Facts       string
}

// fakeReader reads a word of the memory named in the environment and prints what
// came of it.
func fakeReader() {
	var pid int
	var l fakeLayout
	fmt.Sscan(os.Getenv("GUESTRAM_PID"), &pid)
	json.Unmarshal([]byte(os.Getenv("GUESTRAM_LAYOUT")), &l)
	read := func(host uint64, o *outcome) string {
		p, err := OpenProcess(pid)
		if err == nil {
			var r *RAM
			if r, err = Open(p, []Region{{Host: host, Size: fakeSize}}, Options{}); err == nil {
				b := make([]byte, 8)
				if _, err = r.ReadMemory(context.Background(), b, 0); err == nil && b[0] != 1 {
					err = fmt.Errorf("read %x", b)
				}
				o.Facts += fmt.Sprint(r.Facts())
			}
		}
		var denied *AccessError
		if errors.As(err, &denied) {
			o.Change = denied.Change
		}
		if err != nil {
			return err.Error()
		}
		return ""
	}
	var o outcome
	o.Anon = read(l.Anon, &o)
	o.Memfd = read(l.Memfd, &o)
	json.NewEncoder(os.Stdout).Encode(o)
	os.Exit(0)
}

// readAs reads a fake VMM's memory as a user, with extra capabilities.
func readAs(t *testing.T, pid int, l fakeLayout, uid uint32, caps ...uintptr) outcome {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"GUESTRAM_ROLE=reader", fmt.Sprint("GUESTRAM_PID=", pid), "GUESTRAM_LAYOUT=" + string(text)}
	cmd.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: caps}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	out, err := cmd.Output()
	var o outcome
	if err != nil || json.Unmarshal(out, &o) != nil {
		t.Fatalf("the reader said %q, %v", out, err)
	}
	return o
}

// TestAccess: who may read what, and that a refusal names the one change. It
// takes root, which the tests' container has.
func TestAccess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test changes users: run it as root")
	}
	const user, other = 65534, 65533
	cmd, l := startVMM(t, user)
	pid := cmd.Process.Pid
	if o := readAs(t, pid, l, 0); o.Anon != "" || o.Memfd != "" {
		t.Errorf("root: %+v", o)
	}
	if o := readAs(t, pid, l, user); o.Anon != "" || o.Memfd != "" {
		t.Errorf("the same user, unprivileged: %+v", o)
	}
	o := readAs(t, pid, l, other)
	if !strings.Contains(o.Anon, "it runs as uid 65534, this is uid 65533") || !strings.Contains(o.Change, "#65534") {
		t.Errorf("another user: %+v", o)
	}
	// CAP_SYS_PTRACE alone reads private memory, without telling what is absent.
	// Shared memory would cost the host pages then, and is refused.
	o = readAs(t, pid, l, other, capSysPtrace)
	if o.Anon != "" || !strings.Contains(o.Facts, "cannot be told") {
		t.Errorf("CAP_SYS_PTRACE, private memory: %+v", o)
	}
	if !strings.Contains(o.Memfd, "refused") || !strings.Contains(o.Change, "CAP_DAC_READ_SEARCH") {
		t.Errorf("CAP_SYS_PTRACE, shared memory: %+v", o)
	}
	o = readAs(t, pid, l, other, capSysPtrace, capDACReadAll)
	if o.Anon != "" || o.Memfd != "" {
		t.Errorf("CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: %+v", o)
	}
}
