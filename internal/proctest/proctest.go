package proctest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Proc is a made-up /proc.
type Proc struct {
	// Dir is the folder. Its path is short enough for sockets in it.
	Dir string
	t   testing.TB
}

// New makes one with empty socket tables. It ends with the test.
func New(t testing.TB) *Proc {
	t.Helper()
	dir, err := os.MkdirTemp("", "ukproc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &Proc{Dir: dir, t: t}
	for _, name := range []string{"net/tcp", "net/unix"} {
		p.Write(name, "the first line names columns\n")
	}
	return p
}

// Process makes a process of a user that was started as args 10·(1000+pid) ms
// after boot. links are FROM=TO; by default it lives in the root "/", in "/srv",
// and its program is args[0].
func (p *Proc) Process(pid int, uid uint32, args []string, links ...string) {
	p.t.Helper()
	comm := filepath.Base(args[0])
	if len(comm) > 15 {
		comm = comm[:15]
	}
	dir := fmt.Sprint(pid)
	p.Write(dir+"/stat", fmt.Sprintf("%d (%s) S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 %d 900 80", pid, comm, 1000+pid))
	p.Write(dir+"/status", fmt.Sprintf("Name:\t%s\nUid:\t%d\t%d\t%d\t%d\n", comm, uid, uid, uid, uid))
	p.Write(dir+"/cmdline", strings.Join(args, "\x00")+"\x00")
	for _, l := range append([]string{"root=/", "cwd=/srv", "exe=" + args[0]}, links...) {
		from, to, _ := strings.Cut(l, "=")
		at := p.make(dir + "/" + from)
		os.Remove(at)
		if err := os.Symlink(to, at); err != nil {
			p.t.Fatal(err)
		}
	}
}

// Write writes a file and returns its path.
func (p *Proc) Write(name, text string) string {
	p.t.Helper()
	at := p.make(name)
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return at
}

// make returns a path in the folder, with all above it made.
func (p *Proc) make(name string) string {
	p.t.Helper()
	at := filepath.Join(p.Dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return at
}
