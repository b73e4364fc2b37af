//go:build linux

package guestram

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/target"
)

// backing is a file behind shared guest memory. It is read with pread: a
// mapping of our own would count as our memory and make pages of holes.
type backing struct {
	f    *os.File
	path string
	// holes: the file system tells holes from data.
	holes bool
	size  int64
}

// openBacking opens the file behind a shared mapping through the process's own
// descriptor, which works for a memfd and for a file that was removed. nil if
// the process has none open.
func (p *Process) openBacking(m *Mapping) (*backing, error) {
	var found *backing
	var failed error
	err := p.eachFD(func(path, _ string) bool {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Ino != m.Inode || st.Dev != m.Device || st.Mode&unix.S_IFMT != unix.S_IFREG {
			return true
		}
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			failed = p.denied("the file behind its memory", err)
			return true
		}
		found = &backing{f: f, path: m.Path, size: st.Size}
		return false
	})
	if found == nil {
		return nil, errors.Join(err, failed)
	}
	// hugetlbfs calls everything data; its magic number is of linux/magic.h.
	var fs unix.Statfs_t
	const hugetlbfsMagic = 0x958458f6
	found.holes = unix.Fstatfs(int(found.f.Fd()), &fs) == nil && uint32(fs.Type) != hugetlbfsMagic
	return found, nil
}

func (b *backing) read(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		got, err := unix.Pread(int(b.f.Fd()), p[n:], off+int64(n))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return n, fmt.Errorf("reading %s: %w", b.path, err)
		case got == 0:
			return n, &target.FaultError{Why: "the file behind the guest's memory ends before"}
		default:
			n += got
		}
	}
	if !b.holes {
		return n, nil
	}
	if data := b.data(p, off); data < n {
		return data, &target.FaultError{Why: whyHole}
	}
	return n, nil
}

var zeroPage [hostPage]byte

// data returns how many bytes of p, read at off, are before the first hole.
// Only a page that is zero throughout can be one, so that most reads ask
// nothing.
func (b *backing) data(p []byte, off int64) int {
	known := off // data up to here
	for at := 0; at < len(p); {
		pos := off + int64(at)
		n := min(len(p)-at, hostPage-int(pos%hostPage))
		if pos >= known && bytes.Equal(p[at:at+n], zeroPage[:n]) {
			next, err := unix.Seek(int(b.f.Fd()), pos, unix.SEEK_DATA)
			if errors.Is(err, unix.ENXIO) || err == nil && next > pos {
				return at
			}
			if err != nil {
				return len(p) // a file system without holes
			}
			if end, err := unix.Seek(int(b.f.Fd()), pos, unix.SEEK_HOLE); err == nil {
				known = end
			}
		}
		at += n
	}
	return len(p)
}
