package imageindex

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// hint is the index on disk: what was found out about files, by what names their
// content. It is JSON; one that cannot be read is none.
type hint struct {
	Version int
	Files   map[string]hintFile
	Blobs   map[string]blob // by digest
}

type hintFile struct {
	ID  fileID
	Sum *summary
}

// hintVersion changes with the form, or with what a summary means.
const (
	hintVersion = 1
	maxHint     = 64 << 20
)

func (x *Index) hintPath() string { return filepath.Join(x.opt.CacheDir, "index.json") }

// begin reads what another process kept, once.
func (x *Index) begin() {
	if x.begun || x.opt.CacheDir == "" {
		return
	}
	x.begun = true
	f, id, err := openRegular(x.hintPath())
	if err != nil {
		return
	}
	defer f.Close()
	var h hint
	if id.Size > maxHint || json.NewDecoder(f).Decode(&h) != nil || h.Version != hintVersion {
		return
	}
	for path, k := range h.Files {
		if k.Sum.sound() {
			x.files[path] = known{k.ID, k.Sum}
		}
	}
	for digest, b := range h.Blobs {
		if b.sound(x.storage()) {
			x.blobs[digest] = b
		}
	}
}

// sound reports whether a summary from disk can be used: it may be wrong, but not
// out of bounds.
func (s *summary) sound() bool {
	return s != nil && (len(s.Hash) == 64 || s.Hash == "") && len(s.Pages) <= samplePages && len(s.Loads) <= maxLoads
}

// sound reports that what a blob is said to hold lies where it would have been put.
func (b *blob) sound(st *storage) bool {
	for _, p := range b.Files {
		if p.Sum != nil && !p.Sum.sound() || p.Path != "" && (st.dir == "" || filepath.Dir(p.Path) != st.dir) {
			return false
		}
	}
	return true
}

// keep writes what is known for the next process. That it cannot be written costs the
// next one time, and nothing else.
func (x *Index) keep(changed bool) {
	if !changed || x.opt.CacheDir == "" || privateDir(x.opt.CacheDir) != nil {
		return
	}
	h := hint{Version: hintVersion, Files: map[string]hintFile{}, Blobs: x.blobs}
	for path, k := range x.files {
		h.Files[path] = hintFile{k.id, k.sum}
	}
	used := map[string]bool{}
	for _, b := range x.blobs {
		for _, p := range b.Files {
			used[p.Path] = true
		}
	}
	f, err := os.CreateTemp(x.opt.CacheDir, "*.tmp")
	if err != nil {
		return
	}
	defer os.Remove(f.Name()) // gone already if it was renamed
	err = json.NewEncoder(f).Encode(h)
	if cerr := f.Close(); err == nil && cerr == nil {
		_ = os.Rename(f.Name(), x.hintPath())
	}
	x.storage().clean(used)
}
