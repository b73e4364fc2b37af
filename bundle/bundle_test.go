package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func make1(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for name, text := range map[string]string{Dump: "the dump", Console: strings.Repeat("a line\n", 1000), ImageFolder + "shop.dbg": "\x7fELF"} {
		if err := w.Add(name, "about "+name, func(o io.Writer) error { _, err := io.WriteString(o, text); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(Manifest{Writer: "test", Target: "core:x"}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(b []byte) (*Bundle, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func TestRoundTrip(t *testing.T) {
	file := make1(t)
	if !Is(file) {
		t.Error("it is not recognised")
	}
	b, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	if m := b.Manifest(); m.Version != 1 || m.Writer != "test" || len(m.Files) != 3 || b.Image() != "image/shop.dbg" {
		t.Errorf("%+v", m)
	}
	var out bytes.Buffer
	if err := b.Extract(Console, &out); err != nil || out.String() != strings.Repeat("a line\n", 1000) {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	if err := b.Extract(Trace, io.Discard); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
}

// crafted is an archive of names and contents with a manifest of its own.
func crafted(t testing.TB, manifest any, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: files[i], Method: zip.Deflate}
		if files[i] == "link" {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if manifest != nil {
		w, err := z.Create(manifestName)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(w).Encode(manifest); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostile(t *testing.T) {
	list := func(f ...File) Manifest { return Manifest{Version: 1, Files: f} }
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"no zip":         {[]byte("hello, this is no archive at all"), ErrFormat},
		"no manifest":    {crafted(t, nil, "a", "b"), ErrFormat},
		"no version":     {crafted(t, map[string]int{}), ErrFormat},
		"no JSON":        {crafted(t, "text"), ErrFormat},
		"up":             {crafted(t, list(), "../../etc/passwd", "x"), ErrFormat},
		"absolute":       {crafted(t, list(), "/etc/passwd", "x"), ErrFormat},
		"image up":       {crafted(t, list(), "image/../../x", "x"), ErrFormat},
		"deep":           {crafted(t, list(), "image/a/b", "x"), ErrFormat},
		"folder":         {crafted(t, list(), "other/a", "x"), ErrFormat},
		"windows":        {crafted(t, list(), `..\x`, "x"), ErrFormat},
		"drive":          {crafted(t, list(), `c:x`, "x"), ErrFormat},
		"escape":         {crafted(t, list(), "a\x1b[2J", "x"), ErrFormat},
		"link":           {crafted(t, list(), "link", "/etc/passwd"), ErrFormat},
		"twice":          {crafted(t, list(), "a", "1", "a", "2"), ErrFormat},
		"manifest twice": {crafted(t, list(), manifestName, "{}"), ErrFormat},
		"not listed":     {crafted(t, list(), "a", "1"), ErrDamaged},
		"not there":      {crafted(t, list(File{Name: "a"})), ErrDamaged},
		"wrong size":     {crafted(t, list(File{Name: "a", Size: 9}), "a", "1"), ErrDamaged},
		"negative size":  {crafted(t, list(File{Name: "a", Size: -1}), "a", "1"), ErrDamaged},
		"long manifest":  {crafted(t, Manifest{Version: 1, Writer: strings.Repeat("x", maxManifest)}), ErrFormat},
	} {
		if _, err := open(c.file); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	var many []string
	for i := range maxFiles + 2 {
		many = append(many, "f"+strings.Repeat("x", i), "")
	}
	if _, err := open(crafted(t, list(), many...)); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	b, err := open(crafted(t, list(File{Name: "a", Size: 1, SHA256: "00"}), "a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Extract("a", io.Discard); !errors.Is(err, ErrDamaged) {
		t.Errorf("another content: %v", err)
	}
	w := NewWriter(io.Discard)
	for _, name := range []string{"", "..", "a/b", manifestName, "image/", "a\nb"} {
		if err := w.Add(name, "", func(io.Writer) error { return nil }); err == nil {
			t.Errorf("%q is written", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(make1(f))
	f.Add(crafted(f, Manifest{Version: 1, Files: []File{{Name: "a", Size: 1}}}, "a", "1"))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<20 {
			return
		}
		b, err := open(file)
		if err != nil {
			return
		}
		for _, x := range b.Manifest().Files {
			if !filepath.IsLocal(x.Name) {
				t.Errorf("a file %q", x.Name)
			}
			if x.Size >= 1<<20 {
				continue
			}
			var out bytes.Buffer
			err := b.Extract(x.Name, &out)
			if int64(out.Len()) > x.Size+1 || err == nil && int64(out.Len()) != x.Size {
				t.Errorf("%d bytes of %d, %v", out.Len(), x.Size, err)
			}
		}
	})
}
