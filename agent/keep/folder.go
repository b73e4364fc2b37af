package keep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/vmm"
)

const dumpSuffix = ".dump.zst"

// ErrTooLarge says that a dump does not fit into the folder.
var ErrTooLarge = errors.New("the dump is larger than half of what the folder may hold")

// makeFolder makes the folder for dumps, or checks that nobody else may enter it.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be entered by others (mode %o): dumps hold what a guest's memory held; chmod 700 it", dir, st.Mode().Perm())
	}
	return nil
}

// write makes a dump, whole or not at all.
func (k *Keeper) write(ctx context.Context, p *vmm.Process, s *ukdbg.Session) (path string, st ukdbg.DumpStats, err error) {
	if err := k.Ready(); err != nil {
		return "", st, err
	}
	if err := k.makeRoom(k.opt.MaxDumps-1, k.opt.MaxBytes/2); err != nil {
		return "", st, err
	}
	f, err := os.CreateTemp(k.opt.Dir, ".part-*") // mode 0600
	if err != nil {
		return "", st, err
	}
	st, err = s.WriteDump(ctx, &bounded{w: f, left: k.opt.MaxBytes / 2}, ukdbg.WriteOptions{Minimal: true, Writer: k.opt.Writer})
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	path = filepath.Join(k.opt.Dir, fmt.Sprintf("%s-%d%s", time.Now().UTC().Format("20060102T150405.000"), p.PID, dumpSuffix))
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", st, errors.Join(err, os.Remove(f.Name()))
	}
	return path, st, nil
}

// makeRoom removes the oldest dumps until at most so many, of so many bytes, are
// left, and what was not finished.
func (k *Keeper) makeRoom(most int, bytes int64) error {
	entries, err := os.ReadDir(k.opt.Dir)
	if err != nil {
		return err
	}
	var names []string
	sizes := map[string]int64{}
	var sum int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		switch {
		case strings.HasPrefix(e.Name(), ".part-") && time.Since(info.ModTime()) > k.opt.For:
			os.Remove(filepath.Join(k.opt.Dir, e.Name())) // else the next one does
		case strings.HasSuffix(e.Name(), dumpSuffix):
			names = append(names, e.Name()) // they begin with the time
			sizes[e.Name()] = info.Size()
			sum += info.Size()
		}
	}
	slices.Sort(names)
	for len(names) > 0 && (len(names) > most || sum > bytes) {
		if err := os.Remove(filepath.Join(k.opt.Dir, names[0])); err != nil {
			return err
		}
		sum -= sizes[names[0]]
		names = names[1:]
	}
	return nil
}

// bounded is a writer with an end.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, ErrTooLarge
	}
	return b.w.Write(p)
}
