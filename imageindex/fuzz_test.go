package imageindex

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/json"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/guest/images"
)

// FuzzLayer reads layers of OCI layouts.
func FuzzLayer(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "unikraft/bin/kernel", Size: 4, Typeflag: tar.TypeReg},
		{Name: "./unikraft/bin/kernel.dbg", Size: 4, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"UKDBG.x": "y"}},
		{Name: "unikraft/.wh..wh..opq", Typeflag: tar.TypeReg},
		{Name: "unikraft/bin/kernel", Linkname: "x", Typeflag: tar.TypeLink},
	} {
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("\x7fELF")); err != nil {
				f.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	if _, err := g.Write(b.Bytes()); err != nil {
		f.Fatal(err)
	}
	if err := g.Close(); err != nil {
		f.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(z.Bytes())
	f.Add(enc.EncodeAll(b.Bytes(), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8<<10 {
			return
		}
		files, _, n, err := unpackLayer(context.Background(), bytes.NewReader(data), &storage{})
		if n < 0 || n > maxLayer || len(files) > len(wantedFiles) || err != nil && files != nil {
			t.Fatalf("%d bytes, %v, %v", n, files, err)
		}
	})
}

// FuzzSummarise reads files of folders.
func FuzzSummarise(f *testing.F) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		boot, err := images.Boot(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(boot)
	}
	// A small one, which is changed in more telling places.
	small := make([]byte, 64+3*64+16)
	copy(small, "\x7fELF\x02\x01\x01")
	copy(small[16:], []byte{2, 0, byte(elf.EM_X86_64), 0, 1})
	copy(small[40:], []byte{64})
	copy(small[52:], []byte{64, 0, 56, 0, 0, 0, 64, 0, 3, 0, 2})
	f.Add(small)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		s, err := summarise(&bounded{context.Background(), bytes.NewReader(data), maxHeaders})
		if err != nil {
			return
		}
		if !s.sound() || s.Arch == "" {
			t.Fatalf("%+v", s)
		}
		// What is kept on disk comes back.
		b, err := json.Marshal(s)
		var again summary
		if err != nil || json.Unmarshal(b, &again) != nil || again.Hash != s.Hash || !again.sound() {
			t.Fatalf("%s %v", b, err)
		}
	})
}
