package imageindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of a Refresh.
const (
	maxDepth = 16
	maxFiles = 1 << 18
	// maxHeaders and maxRead bound what is read of one file: to know what it is,
	// and in all.
	maxHeaders = 64 << 20
	maxRead    = 1 << 30
)

// scan is one Refresh.
type scan struct {
	x      *Index
	ctx    context.Context
	stats  Stats
	files  map[string]known
	plain  map[fileID]bool
	blobs  map[string]blob
	images map[string]*Image
	loose  []looseFile
	full   bool // a limit was told
	// unpacked counts bytes of layers.
	unpacked int64
}

func (s *scan) note(format string, args ...any) {
	if len(s.stats.Notes) < maxNotes {
		s.stats.Notes = append(s.stats.Notes, fmt.Sprintf(format, args...))
	}
}

func (s *scan) sources() {
	for _, d := range s.x.opt.Dirs {
		s.walk(d, 0)
	}
	for _, d := range s.x.opt.Kraft {
		s.kraft(d)
	}
	for _, d := range s.x.opt.OCI {
		s.layout(d)
	}
}

// walk looks at a folder and all below. Links to files are followed, links to
// folders are not, but for the first.
func (s *scan) walk(dir string, depth int) {
	if isLayout(dir) {
		s.layout(dir)
		return
	}
	s.list(dir, func(e fs.DirEntry) {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
			s.file(path)
		case path == s.x.storage().dir:
		case depth < maxDepth:
			s.walk(path, depth+1)
		default:
			s.note("%s: not looked into, it is more than %d folders deep", path, maxDepth)
		}
	})
}

// list calls f for each entry of a folder, in pieces of it, each by name.
func (s *scan) list(dir string, f func(fs.DirEntry)) {
	d, err := os.Open(dir)
	if err != nil {
		s.note("%v", err)
		return
	}
	defer d.Close()
	for s.ctx.Err() == nil && s.room() {
		entries, err := d.ReadDir(1024)
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, e := range entries {
			f(e)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			s.note("%v", err)
			return
		}
	}
}

func (s *scan) room() bool {
	return s.stats.Files < maxFiles || s.tooMany("%d files", maxFiles)
}

// tooMany tells of a limit, once.
func (s *scan) tooMany(what string, n int) bool {
	if !s.full {
		s.full = true
		s.note("more than "+what+": the rest is not in the index", n)
	}
	return false
}

// kraft looks at a folder kraft builds in: NAME_PLAT-ARCH and NAME_PLAT-ARCH.dbg lie in
// it, or in what kraft calls its build folder.
func (s *scan) kraft(dir string) {
	found := false
	for _, sub := range []string{"", "build", ".unikraft/build"} {
		d := filepath.Join(dir, sub)
		if st, err := os.Stat(d); err != nil || !st.IsDir() {
			continue
		}
		found = true
		s.list(d, func(e fs.DirEntry) {
			if !e.IsDir() && strings.Contains(e.Name(), "_") && strings.Contains(e.Name(), "-") {
				s.file(filepath.Join(d, e.Name()))
			}
		})
	}
	if !found {
		s.note("%s: no such folder", dir)
	}
}

// file looks at a file of a folder.
func (s *scan) file(path string) {
	if !s.room() || s.ctx.Err() != nil {
		return
	}
	s.stats.Files++
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return // a link to nowhere, a socket
	}
	if st.Size() < 64 {
		return
	}
	sum := s.summary(path, idOf(st))
	if sum == nil {
		return
	}
	s.place(File{Path: path, Form: sum.Form, Debug: sum.Debug}, s.files[path].id, sum)
}

// place puts a file where it belongs.
func (s *scan) place(f File, id fileID, sum *summary) {
	if sum.Hash == "" {
		if len(s.loose) < s.x.opt.MaxImages || s.tooMany("%d files without sections", s.x.opt.MaxImages) {
			s.loose = append(s.loose, looseFile{f.Path, f.From, id, sum})
		}
		return
	}
	im := s.images[sum.Hash]
	if im == nil {
		if len(s.images) >= s.x.opt.MaxImages {
			s.tooMany("%d images", s.x.opt.MaxImages)
			return
		}
		im = &Image{Hash: sum.Hash}
		s.images[sum.Hash] = im
	}
	im.add(f, sum)
}

// summary is what is known of a file, which is read if it is not known; nil if it
// is no image.
func (s *scan) summary(path string, id fileID) *summary {
	if k, ok := s.x.files[path]; ok && k.id == id {
		s.files[path] = k
		return k.sum
	}
	if s.x.plain[id] {
		s.plain[id] = true
		return nil
	}
	s.stats.Read++
	sum, got, err := summariseFile(s.ctx, path)
	switch {
	case s.ctx.Err() != nil:
		return nil
	case errors.Is(err, errNoImage):
		s.plain[got] = true
		return nil
	case err != nil:
		s.note("%v", err)
		return nil
	}
	s.files[path] = known{got, sum}
	return sum
}

// snapshot makes the index of what was found.
func (s *scan) snapshot() *snapshot {
	now := &snapshot{byHash: s.images, byPage: map[uint64][]*Image{}}
	count := map[uint64]int{}
	for _, im := range s.images {
		now.images = append(now.images, im)
	}
	slices.SortFunc(now.images, func(a, b *Image) int { return strings.Compare(a.Hash, b.Hash) })
	for _, im := range now.images {
		for i, p := range im.pages {
			now.byPage[p.Key] = append(now.byPage[p.Key], im)
			if i == 0 {
				count[p.Addr]++
			}
		}
	}
	for addr := range count {
		now.firsts = append(now.firsts, addr)
	}
	slices.SortFunc(now.firsts, func(a, b uint64) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	return now
}
