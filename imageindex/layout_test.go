package imageindex

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// smallLayer is a layer with a boot file, which cannot tell its hash, and the image with a
// section of code that it may be of.
func smallLayer(f *testing.F) []byte {
	f.Helper()
	boot := make([]byte, 64)
	copy(boot[56:], "ARM\x64")
	dbg := make([]byte, 64+pageSize+2*64)
	copy(dbg, "\x7fELF\x02\x01\x01")
	copy(dbg[16:], []byte{2, 0, byte(elf.EM_AARCH64), 0, 1})
	binary.LittleEndian.PutUint64(dbg[40:], 64+pageSize) // the section headers
	copy(dbg[52:], []byte{64, 0, 0, 0, 0, 0, 64, 0, 2})
	for i := range pageSize {
		dbg[64+i] = byte(i)
	}
	text := dbg[64+pageSize+64:]
	binary.LittleEndian.PutUint32(text[4:], uint32(elf.SHT_PROGBITS))
	binary.LittleEndian.PutUint64(text[8:], uint64(elf.SHF_ALLOC|elf.SHF_EXECINSTR))
	for i, v := range []uint64{0x40100000, 64, pageSize} {
		binary.LittleEndian.PutUint64(text[16+8*i:], v)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, file := range [][]byte{boot, dbg} {
		if err := w.WriteHeader(&tar.Header{Name: wantedFiles[i], Size: int64(len(file)), Typeflag: tar.TypeReg}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(file); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// FuzzLayout reads layouts, and what another process is said to have kept of them. Each
// line of text is a file: the index, and then blobs; "@N" in it is the digest of the blob in
// line N, which follows, and a line "@" is a layer with an image.
func FuzzLayout(f *testing.F) {
	layer := smallLayer(f)
	const manifest = `{"layers":[{"digest":"@2","size":1}]}` + "\n@"
	f.Add([]byte(`{"manifests":[{"digest":"@1","annotations":{"org.opencontainers.image.ref.name":"shop:latest"}}]}`+"\n"+manifest), []byte{})
	f.Add([]byte(`{"manifests":[{"digest":"@1"},{"digest":"@1"},{"digest":"sha256:../../x"},{"digest":"md5:00"}]}`+"\n"+manifest), []byte(`{"Version":1,"Blobs":{"@2":{"Files":[{"Name":"unikraft/bin/kernel","Path":"/etc/passwd"}]}}}`))
	f.Add([]byte(`{"manifests":[{"digest":"@1"}]}`+"\n"+`{"manifests":[{"digest":"@2"},{"digest":"@3"}],"layers":[{"digest":"@4"},{"digest":"@4"}]}`+"\n{\nnull\n@"), []byte(`{"Version":1,"Files":{"x":{"Sum":null}}}`))
	f.Add([]byte("[]\n{}"), []byte(`{"Version":1,"Blobs":{"@1":{"ID":{"Size":2},"Files":[{"Name":"unikraft/bin/kernel","Sum":{"Form":"elf"}}]}}}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, hint []byte) {
		if len(text) > 4<<10 || len(hint) > 4<<10 {
			return
		}
		at, cache := filepath.Join(dir, "layout"), filepath.Join(dir, "cache")
		write := func(path string, b []byte) {
			t.Helper()
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range []string{filepath.Join(at, "blobs", "sha256"), cache} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		lines := bytes.SplitN(text, []byte{'\n'}, 8)
		var digests []string // the old and the new of each
		for i := len(lines) - 1; i >= 0; i-- {
			b := []byte(strings.NewReplacer(digests...).Replace(string(lines[i])))
			if string(b) == "@" {
				b = layer
			}
			if i == 0 {
				write(filepath.Join(at, "index.json"), b)
				break
			}
			sum := fmt.Sprintf("%x", sha256.Sum256(b))
			write(filepath.Join(at, "blobs", "sha256", sum), b)
			defer os.Remove(filepath.Join(at, "blobs", "sha256", sum))
			digests = append(digests, fmt.Sprintf("@%d", i), "sha256:"+sum)
		}
		write(filepath.Join(at, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
		write(filepath.Join(cache, "index.json"), []byte(strings.NewReplacer(digests...).Replace(string(hint))))

		defer os.RemoveAll(filepath.Join(cache, "taken-out"))
		var found [2][]*Image
		var loose [2][]looseFile
		for i := range found {
			x := New(Options{OCI: []string{at}, CacheDir: cache})
			st, err := x.Refresh(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(st.Notes) > maxNotes || st.Images != len(x.Images()) {
				t.Fatalf("%+v", st)
			}
			found[i], loose[i] = x.Images(), x.now.Load().loose
			var paths []string
			for _, im := range found[i] {
				for _, file := range im.Files {
					paths = append(paths, file.Path)
				}
			}
			for _, l := range loose[i] {
				paths = append(paths, l.path)
			}
			for _, p := range paths {
				if filepath.Dir(p) != filepath.Join(cache, "taken-out") {
					t.Fatalf("%q was taken out of the layout", p)
				}
				b, err := os.ReadFile(p)
				if err != nil || fmt.Sprintf("%x%s", sha256.Sum256(b), storedSuffix) != filepath.Base(p) {
					t.Fatalf("%q does not have the content its name says: %v", p, err)
				}
			}
		}
		if !reflect.DeepEqual(found[0], found[1]) || !reflect.DeepEqual(loose[0], loose[1]) {
			t.Fatalf("first %+v %+v, then, by what the first kept, %+v %+v", found[0], loose[0], found[1], loose[1])
		}
	})
}
