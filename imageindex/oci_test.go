package imageindex_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/imageindex"
)

// file is an entry of a layer.
type file struct {
	name string
	data []byte
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// oci is an OCI layout in the making.
type oci struct {
	t   testing.TB
	dir string
}

type m map[string]any

func newOCI(t testing.TB, dir string) oci {
	t.Helper()
	o := oci{t, dir}
	o.write("oci-layout", []byte(`{"imageLayoutVersion": "1.0.0"}`))
	return o
}

func (o oci) write(name string, b []byte) {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// blob writes a blob and returns its descriptor.
func (o oci) blob(b []byte) m {
	sum := fmt.Sprintf("%x", sha256.Sum256(b))
	o.write("blobs/sha256/"+sum, b)
	return m{"mediaType": "application/octet-stream", "digest": "sha256:" + sum, "size": len(b)}
}

func (o oci) json(v any) m {
	b, err := json.Marshal(v)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.blob(b)
}

// image writes a manifest of layers.
func (o oci) image(tag string, layers ...m) m {
	d := o.json(m{"schemaVersion": 2, "layers": layers})
	d["annotations"] = m{"org.opencontainers.image.ref.name": tag}
	return d
}

func (o oci) index(manifests ...m) {
	b, err := json.Marshal(m{"schemaVersion": 2, "manifests": manifests})
	if err != nil {
		o.t.Fatal(err)
	}
	o.write("index.json", b)
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Images are found in the layers of OCI layouts, taken out once, and used by the next
// process.
func TestOCI(t *testing.T) {
	plain := t.TempDir()
	boot, dbg := extract(t, plain, "ukguest-arm64")
	_, other := extract(t, plain, "ukguest-x86_64")
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	o := newOCI(t, filepath.Join(dir, "layout"))
	kernel := file{"unikraft/bin/kernel", mustRead(t, boot)}
	debug := file{"./unikraft/bin/kernel.dbg", mustRead(t, dbg)}
	old := file{"/unikraft/bin/kernel", mustRead(t, other)}
	removed := file{"/unikraft/bin/kernel.dbg", mustRead(t, other)}
	noise := file{"unikraft/bin/initrd", bytes.Repeat([]byte("noise"), 100000)}
	inner := o.json(m{"manifests": []m{o.image("shop:latest",
		o.blob(tarOf(t, old, noise)), o.blob(gzipped(t, tarOf(t, kernel))), o.blob(zstandard(t, tarOf(t, debug))))}})
	o.index(inner, o.image("gone:1", o.blob(tarOf(t, removed)), o.blob(tarOf(t, file{"unikraft/bin/.wh.kernel.dbg", nil}))))

	check := func(ix *imageindex.Index, st imageindex.Stats) *imageindex.Image {
		t.Helper()
		all := ix.Images()
		if len(all) != 1 || len(st.Notes) > 0 || st.Loose != 0 {
			t.Fatalf("%+v, images %+v", st, all)
		}
		if all[0].Hash != hashOf(t, dbg) || len(all[0].Files) != 2 {
			t.Fatalf("%+v, want hash %s and two files", all[0], hashOf(t, dbg))
		}
		return all[0]
	}
	opt := imageindex.Options{Dirs: []string{dir}, CacheDir: cache}
	ix := imageindex.New(opt)
	st := refresh(t, ix)
	im := check(ix, st)
	if !bytes.Equal(mustRead(t, im.Debug), debug.data) || !bytes.Equal(mustRead(t, im.Kernel), kernel.data) {
		t.Error("what was taken out is not what is in the layers")
	}
	if st.Read == 0 {
		t.Error("nothing was read")
	}
	if from := filepath.Join(dir, "layout") + ":shop:latest:/unikraft/bin/kernel.dbg"; im.Files[0].From != from || im.Files[0].Path != im.Debug {
		t.Errorf("%+v, want it from %s", im.Files[0], from)
	}
	if st := refresh(t, ix); st.Read != 0 {
		t.Errorf("nothing changed: %+v", st)
	}
	match, err := ix.Find(context.Background(), imageindex.Guest{Memory: load(t, dbg, 0)})
	if err != nil || match.Debug != im.Debug || !match.Proved {
		t.Errorf("%+v, %v", match, err)
	}
	next := imageindex.New(opt)
	if st = refresh(t, next); st.Read != 0 {
		t.Errorf("the next process: %+v", st)
	}
	check(next, st)

	// What was kept is no more than a hint.
	if err := os.Remove(im.Debug); err != nil {
		t.Fatal(err)
	}
	if st := refresh(t, ix); st.Read != 1 {
		t.Errorf("a file taken out is gone: %+v", st)
	}
	check(ix, refresh(t, ix))
	for _, text := range []string{"", "{", `{"Version":1,"Files":{"x":{"Sum":null}},"Blobs":{"y":{"Files":[{"Path":"/etc/passwd"}]}}}`} {
		if err := os.WriteFile(filepath.Join(cache, "index.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		damaged := imageindex.New(opt)
		check(damaged, refresh(t, damaged))
	}

	// Without a folder to take files out to, images are known.
	bare := imageindex.New(imageindex.Options{OCI: []string{o.dir}})
	st = refresh(t, bare)
	all := bare.Images()
	if len(all) != 1 || all[0].Debug != "" || !slices.ContainsFunc(all[0].Files, func(f imageindex.File) bool {
		return f.Archive && f.Debug && strings.HasSuffix(f.Path, ":shop:latest:/unikraft/bin/kernel.dbg")
	}) {
		t.Errorf("%+v %+v", st, all)
	}
}

// Layouts that are damaged, or made to harm, are notes; what is sound beside them is
// found.
func TestHostileOCI(t *testing.T) {
	_, dbg := extract(t, t.TempDir(), "ukguest-x86_64")
	debug := file{"unikraft/bin/kernel.dbg", mustRead(t, dbg)}
	dir, cache := t.TempDir(), t.TempDir()
	o := newOCI(t, dir)
	sound := o.image("sound", o.blob(tarOf(t, debug)))
	wrong := o.blob(tarOf(t, debug, file{"more", []byte("x")}))
	digest := wrong["digest"].(string)
	o.write("blobs/sha256/"+strings.TrimPrefix(digest, "sha256:"), tarOf(t, debug, file{"more", []byte("y")}))
	cut := gzipped(t, tarOf(t, debug))
	loop := o.json(m{"manifests": []m{}})
	bomb := make([]byte, 64<<20)
	o.index(
		o.image("digest", wrong),
		o.image("cut", o.blob(cut[:len(cut)/2])),
		o.image("no archive", o.blob([]byte("not a tar archive, and far too short for one"))),
		o.image("path", m{"digest": "sha256:../../../../etc/passwd"}, m{"digest": "md5:00"}, m{"digest": "sha256:" + strings.Repeat("AB", 32)}),
		o.image("missing", m{"digest": "sha256:" + strings.Repeat("ab", 32)}),
		o.image("bomb", o.blob(gzipped(t, tarOf(t, file{"unikraft/bin/kernel", bomb})))),
		o.image("link", o.blob(linked(t))),
		loop, loop, o.blob([]byte("{")), o.blob([]byte("null")),
		sound)
	ix := imageindex.New(imageindex.Options{Dirs: []string{dir}, CacheDir: cache})
	began := time.Now()
	st := refresh(t, ix)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	all := ix.Images()
	if len(all) != 1 || all[0].Hash != hashOf(t, dbg) {
		t.Errorf("%+v, want the sound image", all)
	}
	text := strings.Join(st.Notes, "\n")
	for _, want := range []string{"does not have the content its digest says", "unexpected EOF", "digest \"sha256:../", "digest \"md5:00\"", "no such file", "unexpected end of JSON"} {
		if !strings.Contains(text, want) {
			t.Errorf("no note with %q:\n%s", want, text)
		}
	}
	if left, err := filepath.Glob(filepath.Join(cache, "taken-out", "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
	// What is damaged is not read again and again.
	if st := refresh(t, ix); st.Read > 1 { // the missing one
		t.Errorf("%+v", st)
	}
}

// linked is a layer whose kernel is a link out of it.
func linked(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "unikraft/bin/kernel", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
