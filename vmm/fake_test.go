package vmm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is a made-up /proc: a process is a folder.
type fake struct {
	t   *testing.T
	dir string
}

func newFake(t *testing.T) fake { return fake{t, t.TempDir()} }

func (f fake) proc() Proc { return Proc(f.dir) }

// process makes a process of that user with that command line, whose links are
// FROM=TO.
func (f fake) process(pid int, uid uint32, args []string, links ...string) {
	f.t.Helper()
	dir := filepath.Join(f.dir, fmt.Sprint(pid))
	comm := filepath.Base(args[0])
	if len(comm) > 15 {
		comm = comm[:15]
	}
	f.write(fmt.Sprintf("%d/stat", pid), fmt.Sprintf("%d (%s) S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 %d 900 80", pid, comm, 1000+pid))
	f.write(fmt.Sprintf("%d/status", pid), fmt.Sprintf("Name:\t%s\nUid:\t%d\t%d\t%d\t%d\n", comm, uid, uid, uid, uid))
	f.write(fmt.Sprintf("%d/cmdline", pid), strings.Join(args, "\x00")+"\x00")
	for _, l := range append([]string{"root=/", "cwd=/work", "exe=" + args[0]}, links...) {
		from, to, _ := strings.Cut(l, "=")
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, from)), 0o755); err != nil {
			f.t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, from))
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f fake) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f fake) byPID(pid int) Process {
	f.t.Helper()
	p, err := f.proc().ByPID(pid)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}
