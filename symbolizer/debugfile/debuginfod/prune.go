package debuginfod

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kept is one file of the folder.
type kept struct {
	path string
	size int64
	used time.Time
}

// prune deletes the files that were used longest ago until the folder is within
// its bound; keep stays. What cannot be deleted stays too: another process may
// have done it, and a full folder is no reason to fail.
func (c *Client) prune(keep string) {
	limit := c.MaxCache
	if limit == 0 {
		limit = DefaultMaxCache
	}
	var files []kept
	var total int64
	_ = filepath.WalkDir(c.Cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !ours(c.Cache, path) {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return nil
		}
		total += st.Size()
		if path != keep {
			files = append(files, kept{path, st.Size(), st.ModTime()})
		}
		return nil
	})
	slices.SortFunc(files, func(a, b kept) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	for _, f := range files {
		if total <= limit {
			return
		}
		if os.Remove(f.path) == nil {
			total -= f.size
		}
		_ = os.Remove(filepath.Dir(f.path)) // when it is empty
	}
}

// ours reports whether path is in a folder named by a build id, so that a wrong
// DEBUGINFOD_CACHE_PATH costs nobody their files.
func ours(root, path string) bool {
	folder := filepath.Dir(path)
	return filepath.Dir(folder) == filepath.Clean(root) && hexadecimal(filepath.Base(folder))
}
