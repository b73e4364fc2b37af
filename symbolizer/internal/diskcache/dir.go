package diskcache

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// Bounds in bytes: of a folder by default, and of one file.
const (
	defaultLimit = 256 << 20
	maxFile      = 64 << 20
)

// Dir is a folder of cache files.
type Dir struct {
	// Path is made with mode 0700 when something is written.
	Path string
	// Limit bounds all files together in bytes, 0 for 256 MiB.
	Limit int64
}

const suffix = ".ukdbg-cache"

func (d Dir) file(key Key) string {
	return filepath.Join(d.Path, hex.EncodeToString(key[:16])+suffix)
}

// errUnsafe says that others could put something into the folder.
var errUnsafe = errors.New("the folder belongs to somebody else or others may write to it")

// private reports whether only this user can have written what st describes. Where
// a system does not tell whose a file is, nothing is kept.
func private(st fs.FileInfo) bool {
	n, ok := inode.Of(st)
	return ok && n.UID == os.Geteuid() && st.Mode().Perm()&0o022 == 0
}

// prepare makes the folder.
func (d Dir) prepare() error {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	st, err := os.Stat(d.Path)
	if err == nil && !private(st) {
		err = fmt.Errorf("%s: %w", d.Path, errUnsafe)
	}
	return err
}

// Status says what a folder holds and whether it can be used.
type Status struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
	// Error says why nothing can be written, "" if it can.
	Error string `json:"error,omitempty"`
}

// Status looks at the folder and tries to write to it.
func (d Dir) Status() Status {
	s := Status{Path: d.Path}
	for _, f := range d.list() {
		s.Files++
		s.Bytes += f.size
	}
	err := d.prepare()
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(d.Path, "probe-*.tmp"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		s.Error = err.Error()
	}
	return s
}

type entry struct {
	path string
	size int64
	used time.Time
}

// list gives the files of the folder, none if it cannot be read.
func (d Dir) list() []entry {
	names, _ := os.ReadDir(d.Path)
	var out []entry
	for _, n := range names {
		st, err := n.Info()
		if err != nil || !st.Mode().IsRegular() || !strings.HasSuffix(n.Name(), suffix) && !strings.HasSuffix(n.Name(), ".tmp") {
			continue
		}
		out = append(out, entry{filepath.Join(d.Path, n.Name()), st.Size(), st.ModTime()})
	}
	return out
}

// orphaned is the age at which a file being written was given up.
const orphaned = time.Hour

// evict removes the files used least recently until the folder is within its
// limit, and what writers that died left. keep stays.
func (d Dir) evict(keep string) error {
	files := d.list()
	slices.SortFunc(files, func(a, b entry) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	limit := cmp.Or(d.Limit, defaultLimit)
	var errs []error
	for _, f := range files {
		temporary := strings.HasSuffix(f.path, ".tmp")
		if temporary && time.Since(f.used) < orphaned || f.path == keep || !temporary && total <= limit {
			continue
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		total -= f.size
	}
	return errors.Join(errs...)
}
