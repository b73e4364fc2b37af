package console

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// maxFDs bounds the descriptors of a process that are looked at.
const maxFDs = 4096

// writes reports whether the VMM has a file open for writing.
func (s *search) writes(id fileID) bool {
	fds := descriptors(filepath.Join(s.proc, strconv.Itoa(s.p.PID)), id)
	for _, fd := range fds {
		// The mode of the link is what the descriptor was opened for: proc(5).
		info, err := os.Lstat(s.fd(fd))
		if err == nil && info.Mode().Perm()&0o200 != 0 {
			return true
		}
	}
	return false
}

// descriptors returns those of a process that are a file.
func descriptors(dir string, id fileID) (out []string) {
	d, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxFDs)
	for _, n := range names {
		st, err := os.Stat(filepath.Join(dir, "fd", n))
		if err != nil {
			continue
		}
		if i, ok := inode.Of(st); ok && (fileID{i.Dev, i.Ino}) == id {
			out = append(out, n)
		}
	}
	return out
}

const seekDataWhence = 3 // SEEK_DATA of lseek(2)

// nextData returns the offset of the first byte at or behind at that is not in a
// hole; at itself where that is not known.
func nextData(f *os.File, at int64) int64 {
	n, err := f.Seek(at, seekDataWhence)
	if err != nil || n < at {
		return at
	}
	return n
}
