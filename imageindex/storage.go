package imageindex

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// storage is the folder for files taken out of archives. Each is named by the SHA-256 of
// its content, so that one image in many archives is there once.
type storage struct {
	dir string // "" for none
	// limit bounds what is in it, in bytes.
	limit int64
}

const (
	defaultStorage = 8 << 30
	storedSuffix   = ".image"
	// abandoned is the age at which what nobody refers to, or was being written, goes.
	abandoned = 24 * time.Hour
)

func (x *Index) storage() *storage {
	if x.opt.CacheDir == "" {
		return &storage{}
	}
	return &storage{filepath.Join(x.opt.CacheDir, "taken-out"), defaultStorage}
}

// errFull says that the folder has no room.
var errFull = errors.New("no room for what is taken out of archives")

// put reads a file, sums it up, and keeps it if it is an image and there is a folder.
func (st *storage) put(ctx context.Context, name string, r io.Reader) (packed, error) {
	out := packed{Name: name}
	dir := st.dir
	if dir != "" {
		if err := privateDir(dir); err != nil {
			return out, err
		}
		if used := st.used(); used > st.limit {
			return out, fmt.Errorf("%w: %d bytes are in %s", errFull, used, dir)
		}
	}
	f, err := os.CreateTemp(dir, "*.tmp")
	if err != nil {
		return out, err
	}
	defer f.Close()
	defer os.Remove(f.Name()) // gone already if it was renamed
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), r); err != nil {
		return out, err
	}
	out.Sum, err = summarise(&bounded{ctx, f, maxHeaders})
	if err != nil {
		if errors.Is(err, errNoImage) {
			return out, nil
		}
		return out, err
	}
	if dir == "" {
		return out, nil
	}
	path := filepath.Join(dir, hex.EncodeToString(h.Sum(nil))+storedSuffix)
	info, err := f.Stat()
	if err != nil {
		return out, err
	}
	// Another archive may have had it; a file that was cut since is replaced.
	if have, err := os.Lstat(path); err == nil && have.Mode().IsRegular() && have.Size() == info.Size() {
		out.Path, out.ID = path, idOf(have)
		return out, nil
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return out, err
	}
	out.Path, out.ID = path, idOf(info)
	return out, nil
}

// privateDir makes a folder that only this user can write to.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if n, ok := inode.Of(st); !st.IsDir() || ok && (st.Mode().Perm()&0o022 != 0 || n.UID != os.Geteuid()) {
		return fmt.Errorf("%s is not a folder of this user's alone", dir)
	}
	return nil
}

func (st *storage) used() (n int64) {
	st.each(func(_ string, info os.FileInfo) { n += info.Size() })
	return n
}

// each visits the files of the folder.
func (st *storage) each(f func(path string, info os.FileInfo)) {
	list, _ := os.ReadDir(st.dir) // none yet
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), storedSuffix) && !strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			f(filepath.Join(st.dir, e.Name()), info)
		}
	}
}

// clean removes what no blob refers to any more. Another process may: what is young
// stays.
func (st *storage) clean(used map[string]bool) {
	st.each(func(path string, info os.FileInfo) {
		if !used[path] && time.Since(info.ModTime()) > abandoned {
			_ = os.Remove(path) // it is tried again the next time
		}
	})
}
