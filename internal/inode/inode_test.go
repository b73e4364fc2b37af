//go:build unix

package inode

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file keeps its inode under another name, and another file has another.
func TestOf(t *testing.T) {
	dir := t.TempDir()
	of := func(name string) Inode {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		n, ok := Of(st)
		if !ok || n.UID != os.Geteuid() {
			t.Fatalf("%s: %+v, %v", name, n, ok)
		}
		return n
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := of("a"), of("b")
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	if c := of("c"); c != a || a == b {
		t.Errorf("a %+v, b %+v, a renamed %+v", a, b, c)
	}
}

// What is no regular file is told, and not waited for.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, st, err := Open(file)
	if err != nil || st.Size() != 4 {
		t.Fatalf("%v, %v", st, err)
	}
	f.Close()
	for _, path := range []string{pipe, dir, "/dev/tty", "/dev/zero"} {
		if f, _, err := Open(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		} else if path == pipe && !strings.Contains(err.Error(), "no regular file") {
			t.Error(err)
		}
	}
	if _, _, err := Open(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
}
