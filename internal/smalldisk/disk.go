//go:build linux

package smalldisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small file system.
type Disk struct {
	// Dir is where it is mounted.
	Dir string
}

// Make mounts a tmpfs of a size in bytes. It goes with the test, which must be root's.
func Make(t testing.TB, size int) *Disk {
	t.Helper()
	dir, err := os.MkdirTemp("", "disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,nr_inodes=%d,mode=700", size, maxFiles)); err != nil {
		t.Fatalf("mounting a small disk, which takes root (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		// Who still has a file there open keeps it until then.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return &Disk{dir}
}

// maxFiles is how many files and folders may be on the disk.
const maxFiles = 4096

func (d *Disk) ballast() string { return filepath.Join(d.Dir, "ballast") }

// Fill takes all the room there is.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling %s: %v", d.Dir, err)
	}
}

// FillNames takes all there is for further files and folders: a tmpfs that has no room
// for bytes still makes them.
func (d *Disk) FillNames(t testing.TB) {
	t.Helper()
	err := os.Mkdir(d.ballast()+"s", 0o700)
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(d.ballast()+"s", fmt.Sprint(i)), nil, 0o600)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling %s: %v", d.Dir, err)
	}
}

// Empty gives back what Fill and FillNames took.
func (d *Disk) Empty(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.ballast() + "s"); err != nil {
		t.Fatal(err)
	}
}
