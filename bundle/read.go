package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bundle is an opened bundle.
type Bundle struct {
	m     Manifest
	files map[string]*zip.File
}

// Is reports whether a file that begins with head may be a bundle: a zip archive.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// Open reads the manifest of the bundle in r.
func Open(r io.ReaderAt, size int64) (*Bundle, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(z.File) > maxFiles+1 {
		return nil, fmt.Errorf("%w: it has %d files", ErrFormat, len(z.File))
	}
	b := &Bundle{files: map[string]*zip.File{}}
	var manifest *zip.File
	for _, f := range z.File {
		switch {
		case f.Name == manifestName && manifest == nil:
			manifest = f
		case !goodName(f.Name) || b.files[f.Name] != nil || !f.Mode().IsRegular():
			return nil, fmt.Errorf("%w: it has a file %.200q", ErrFormat, f.Name)
		default:
			b.files[f.Name] = f
		}
	}
	if manifest == nil {
		return nil, fmt.Errorf("%w: it has no %s", ErrFormat, manifestName)
	}
	if err := b.readManifest(manifest); err != nil {
		return nil, err
	}
	return b, b.check()
}

func (b *Bundle) readManifest(f *zip.File) error {
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, manifestName, err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	if len(text) > maxManifest {
		return fmt.Errorf("%w: its manifest has more than %d bytes", ErrFormat, maxManifest)
	}
	if err := json.Unmarshal(text, &b.m); err != nil {
		return fmt.Errorf("%w: its manifest: %w", ErrFormat, err)
	}
	if b.m.Version < 1 {
		return fmt.Errorf("%w: its manifest has version %d", ErrFormat, b.m.Version)
	}
	return nil
}

// check compares the manifest with what is in the archive.
func (b *Bundle) check() error {
	listed := map[string]bool{}
	for _, f := range b.m.Files {
		z := b.files[f.Name]
		switch {
		case z == nil || listed[f.Name]:
			return fmt.Errorf("%w: the manifest lists %.200q, which is not there", ErrDamaged, f.Name)
		case f.Size < 0 || f.Size > MaxFile || uint64(f.Size) != z.UncompressedSize64:
			return fmt.Errorf("%w: %s has %d bytes, not %d", ErrDamaged, f.Name, z.UncompressedSize64, f.Size)
		}
		listed[f.Name] = true
	}
	if len(listed) != len(b.files) {
		return fmt.Errorf("%w: it has files its manifest does not list", ErrDamaged)
	}
	return nil
}

// Manifest tells what is in the bundle. Its text is not escaped.
func (b *Bundle) Manifest() Manifest { return b.m }

// Has reports whether a file of that name is in the bundle.
func (b *Bundle) Has(name string) bool {
	return slices.ContainsFunc(b.m.Files, func(f File) bool { return f.Name == name })
}

// Image is the name of the image in the bundle, "" if it has none.
func (b *Bundle) Image() string {
	for _, f := range b.m.Files {
		if strings.HasPrefix(f.Name, ImageFolder) {
			return f.Name
		}
	}
	return ""
}

// Extract writes a file's content to w. ErrDamaged comes after the content, if
// that is not what the manifest says.
func (b *Bundle) Extract(name string, w io.Writer) error {
	for _, f := range b.m.Files {
		if f.Name != name {
			continue
		}
		in, err := b.files[name].Open()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
		}
		defer in.Close()
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(in, f.Size+1))
		switch {
		case err != nil:
			return fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
		case n != f.Size, hex.EncodeToString(sum.Sum(nil)) != f.SHA256:
			return fmt.Errorf("%w: %s is not what the manifest says", ErrDamaged, name)
		}
		return nil
	}
	return fmt.Errorf("%s: %w", name, ErrAbsent)
}
