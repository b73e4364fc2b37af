package console

import (
	"errors"
	"fmt"
	"golang.org/x/sys/unix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/vmm"
)

// Which consoles can be followed, and what is said of the others.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "machine.log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "stdout")
	proc := filepath.Join(dir, "proc")
	fds := filepath.Join(proc, "7", "fd")
	if err := os.MkdirAll(fds, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout := func(to string) {
		os.Remove(filepath.Join(fds, "1"))
		if err := os.Symlink(to, filepath.Join(fds, "1")); err != nil {
			t.Fatal(err)
		}
	}
	stdout(out)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	uid := uint32(os.Getuid())
	guest := func(uid uint32, serials ...vmm.Chardev) *hosts.Guest {
		return &hosts.Guest{Process: vmm.Process{PID: 7, UID: uid, Kind: vmm.QEMU, Serials: serials}}
	}
	firecracker := guest(uid)
	firecracker.Kind = vmm.Firecracker
	libvirt := guest(uid+1, vmm.Chardev{Backend: "pty"})
	libvirt.ConsoleLogs = []string{log}
	for _, c := range []struct {
		g          *hosts.Guest
		path, says string
	}{
		{guest(uid, vmm.Chardev{Backend: "file", Path: log}), log, ""},
		{guest(uid, vmm.Chardev{Backend: "null"}, vmm.Chardev{Backend: "file", Path: log}), log, ""},
		{guest(uid, vmm.Chardev{Backend: "socket", LogFile: log}), log, ""},
		{guest(uid, vmm.Chardev{Backend: "stdio"}), out, ""},
		{firecracker, out, ""},
		{libvirt, log, ""},
		{guest(uid), "", "names no serial port"},
		{guest(uid, vmm.Chardev{Backend: "pty"}), "", "is a pty, which has one reader"},
		{guest(uid, vmm.Chardev{Backend: "vc"}), "", "shown by the VMM itself (vc)"},
		{guest(uid, vmm.Chardev{Backend: "null"}), "", "goes nowhere"},
		{guest(uid, vmm.Chardev{Backend: "file", Path: log + ".none"}), "", "is not there"},
		{guest(uid, vmm.Chardev{Backend: "file", Path: fifo}), "", "is no regular file"},
		// Somebody's VMM names a file of somebody else.
		{guest(uid+1, vmm.Chardev{Backend: "file", Path: log}), "", fmt.Sprintf("belongs to uid %d", uid)},
	} {
		got, err := FindIn(vmm.Proc(proc), c.g)
		var none *NoneError
		switch {
		case c.says == "" && (err != nil || got.Path != c.path):
			t.Errorf("%v: %+v, %v", c.g.Serials, got, err)
		case c.says != "" && (!errors.As(err, &none) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "console=none: ")):
			t.Errorf("%v: %+v, %v; want %q", c.g.Serials, got, err, c.says)
		}
	}
	for to, says := range map[string]string{"pipe:[12]": "one reader", "/dev/null": "/dev/null", "/dev/pts/3": "one reader"} {
		stdout(to)
		if _, err := FindIn(vmm.Proc(proc), firecracker); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", to, err)
		}
	}
	// The file that somebody else's VMM has open for writing is its console.
	stdout(log)
	if _, err := FindIn(vmm.Proc(proc), guest(uid+1, vmm.Chardev{Backend: "file", Path: log})); err != nil {
		t.Error(err)
	}
}

// TestStdoutOfAnother: whoever calls himself a VMM may have as standard output what he
// may not read: open(2) with O_PATH asks for no right to the file.
func TestStdoutOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flags, refused := range map[int]bool{unix.O_PATH: true, unix.O_RDONLY: true, unix.O_WRONLY: false} {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		out := os.NewFile(uintptr(fd), path)
		cmd := exec.Command("sleep", "60")
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.Close()
		g := &hosts.Guest{Process: vmm.Process{PID: cmd.Process.Pid, UID: uint32(os.Getuid()) + 1, Kind: vmm.Firecracker}}
		src, err := Find(g)
		if refused && (err == nil || !strings.Contains(err.Error(), "does not write it")) || !refused && err != nil {
			t.Errorf("flags %#x: %+v, %v", flags, src, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	}
}

// A log that was replaced by a file of another user, or by a link to one, is left
// alone.
func TestOwner(t *testing.T) {
	l := newLog(t)
	l.append(assertion("mine"))
	other := uint32(os.Getuid() + 1)
	f := l.follow(t.Context(), "", func(o *Options) { o.Source.Owner = &other })
	defer f.Close()
	f.End()
	if got, err := f.Next(); err == nil {
		t.Errorf("%+v", got)
	}
	if s := f.Stats(); !strings.Contains(s.Problem, "is left alone") {
		t.Errorf("%+v", s)
	}
	if err := os.Symlink("/etc/passwd", l.path+".1"); err != nil {
		t.Fatal(err)
	}
	if list := siblings(l.path, 0); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestRotatedName(t *testing.T) {
	for name, is := range map[string]bool{
		"vm.log": false, "vm.log.1": true, "vm.log-20261122": true, "vm.log-20261122.gz": true, "vm-20261122.log": true, "vm.log.1.gz": true,
		"vm-20261122-0910.log.gz": true, "vm-2.log": false, "vm2.log": false, "vm.logger": false, "other.log.1": false, "vm-a20261122.log": false,
	} {
		if got := rotatedName("vm.log", name); got != is {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add([]byte(`{"lineage":"0123456789abcdef","source":{"path":"/a"},"generation":3,"file":{"dev":1,"ino":2},"offset":12,"tail":"00","tail_size":12}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxState {
			return
		}
		p, ok := decodePlace(b)
		if ok && (p.Offset < int64(p.TailSize) || p.TailSize < 0 || p.TailSize > tailSize || p.Source.Path == "") {
			t.Errorf("%+v", p)
		}
	})
}
