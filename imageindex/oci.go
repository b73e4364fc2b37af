package imageindex

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Limits of an OCI layout.
const (
	maxJSON      = 4 << 20
	maxManifests = 4096
	maxNesting   = 4
	maxLayers    = 256
	// maxUnpacked bounds what one Refresh unpacks of all layouts, in bytes.
	maxUnpacked = 64 << 30
)

// descriptor points to a blob (OCI image-spec 1.1, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// manifest is an image manifest or an image index (manifest.md, image-index.md); the
// one has layers, the other manifests.
type manifest struct {
	Manifests []descriptor `json:"manifests"`
	Layers    []descriptor `json:"layers"`
}

// refName annotates the tag of a manifest (annotations.md).
const refName = "org.opencontainers.image.ref.name"

// isLayout reports whether a folder is an OCI image layout (image-layout.md).
func isLayout(dir string) bool {
	st, err := os.Stat(filepath.Join(dir, "oci-layout"))
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	st, err = os.Stat(filepath.Join(dir, "index.json"))
	return err == nil && st.Mode().IsRegular()
}

// layout looks at an OCI layout.
func (s *scan) layout(dir string) {
	var head struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := readJSON(filepath.Join(dir, "oci-layout"), &head); err != nil {
		s.note("%v", err)
		return
	}
	if !strings.HasPrefix(head.Version, "1.") {
		s.note("%s: OCI layout of version %q, 1.x is read", dir, head.Version)
		return
	}
	var index manifest
	if err := readJSON(filepath.Join(dir, "index.json"), &index); err != nil {
		s.note("%v", err)
		return
	}
	l := &layout{s: s, dir: dir, seen: map[string]bool{}}
	l.manifests(index.Manifests, "", 0)
}

// layout is one OCI layout.
type layout struct {
	s    *scan
	dir  string
	seen map[string]bool // manifests, by digest
}

func (l *layout) manifests(list []descriptor, tag string, depth int) {
	for _, d := range list {
		if l.s.ctx.Err() != nil || l.seen[d.Digest] {
			continue
		}
		if len(l.seen) >= maxManifests || depth > maxNesting {
			l.s.note("%s: more than %d manifests, or more than %d deep: the rest is not in the index", l.dir, maxManifests, maxNesting)
			return
		}
		l.seen[d.Digest] = true
		name := tag
		if t := d.Annotations[refName]; t != "" {
			name = t
		}
		var m manifest
		if err := l.blobJSON(d, &m); err != nil {
			l.s.note("%s: %v", l.dir, err)
			continue
		}
		l.manifests(m.Manifests, name, depth+1)
		if len(m.Layers) > 0 {
			l.image(m.Layers, d, name)
		}
	}
}

// image looks at the layers of one manifest; what a later one has replaces what an
// earlier one has.
func (l *layout) image(layers []descriptor, d descriptor, tag string) {
	found := map[string]packed{}
	for _, layer := range layers[:min(len(layers), maxLayers)] {
		b := l.blob(layer)
		for _, name := range b.Removed {
			delete(found, name)
		}
		for _, p := range b.Files {
			found[p.Name] = p
		}
	}
	if tag == "" {
		tag = d.Digest
	}
	for _, name := range wantedFiles {
		p, ok := found[name]
		if !ok || p.Sum == nil {
			continue
		}
		f := File{From: fmt.Sprintf("%s:%s:/%s", l.dir, tag, name), Form: p.Sum.Form, Debug: p.Sum.Debug, Path: p.Path}
		if f.Path == "" {
			f.Path, f.Archive = f.From, true
		}
		l.s.place(f, p.ID, p.Sum)
	}
}

// blobPath is where a layout has a blob, and the hash its digest is of.
func (l *layout) blobPath(d descriptor) (path string, h hash.Hash, want string, err error) {
	algorithm, text, _ := strings.Cut(d.Digest, ":")
	switch algorithm {
	case "sha256":
		h = sha256.New()
	case "sha512":
		h = sha512.New()
	default:
		return "", nil, "", fmt.Errorf("digest %q: sha256 and sha512 are known", d.Digest)
	}
	// It becomes part of a path.
	if b, err := hex.DecodeString(text); err != nil || len(b) != h.Size() || strings.ToLower(text) != text {
		return "", nil, "", fmt.Errorf("digest %q is no %s", d.Digest, algorithm)
	}
	return filepath.Join(l.dir, "blobs", algorithm, text), h, text, nil
}

// blobJSON reads a blob of JSON, and checks it.
func (l *layout) blobJSON(d descriptor, v any) error {
	path, h, want, err := l.blobPath(d)
	if err != nil {
		return err
	}
	b, err := readSmall(path)
	if err != nil {
		return err
	}
	h.Write(b)
	if hex.EncodeToString(h.Sum(nil)) != want {
		return fmt.Errorf("blob %s does not have the content its digest says", d.Digest)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return nil
}

func readJSON(path string, v any) error {
	b, err := readSmall(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readSmall reads a file of at most maxJSON.
func readSmall(path string) ([]byte, error) {
	f, id, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if id.Size > maxJSON {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d there can be", path, id.Size, maxJSON)
	}
	return io.ReadAll(io.LimitReader(f, maxJSON))
}
