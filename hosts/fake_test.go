package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/vmm"
)

// fake is a host made up in a folder.
type fake struct {
	*Host
	t   *testing.T
	dir string
	// asked counts the questions to kraft.
	asked int
}

func newFake(t *testing.T) *fake {
	// Not t.TempDir: a socket's path is short.
	dir, err := os.MkdirTemp("", "ukh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fake{t: t, dir: dir}
	f.Host = &Host{Proc: vmm.Proc(dir + "/proc"), UID: 1000, LibvirtDirs: []string{dir + "/libvirt"},
		Kraft: func(context.Context) ([]byte, error) { f.asked++; return nil, errors.New("no kraft here") }}
	f.write("proc/net/tcp", "sl\n")
	f.write("proc/net/unix", "Num\n")
	return f
}

func (f *fake) write(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func (f *fake) process(pid int, uid uint32, args ...string) {
	f.t.Helper()
	p := fmt.Sprintf("proc/%d/", pid)
	f.write(p+"stat", fmt.Sprintf("%d (vmm) S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 %d 900 80", pid, 1000+pid))
	f.write(p+"status", fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", uid, uid, uid, uid))
	f.write(p+"cmdline", strings.Join(args, "\x00")+"\x00")
	f.write(p+"mem", "")
	for from, to := range map[string]string{"root": "/", "cwd": "/", "exe": args[0]} {
		if err := os.Symlink(to, filepath.Join(f.dir, p+from)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// kraftVM is what kraft starts.
func (f *fake) kraftVM(pid int, uid uint32, id string) {
	state := f.dir + "/kraft/" + id
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
