package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"
)

// Writer writes a bundle.
type Writer struct {
	zip   *zip.Writer
	files []File
	now   time.Time
}

// NewWriter begins a bundle.
func NewWriter(w io.Writer) *Writer { return &Writer{zip: zip.NewWriter(w), now: time.Now()} }

// counter counts and sums what is written.
type counter struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

// Add writes a file.
func (w *Writer) Add(name, about string, write func(io.Writer) error) error {
	if !goodName(name) || len(w.files) == maxFiles {
		return fmt.Errorf("%q cannot be in a bundle", name)
	}
	h := &zip.FileHeader{Name: name, Modified: w.now, Method: zip.Deflate}
	h.SetMode(0o600)
	if name == Dump || name == Trace {
		h.Method = zip.Store // they are compressed
	}
	out, err := w.zip.CreateHeader(h)
	if err != nil {
		return err
	}
	c := &counter{w: out, sum: sha256.New()}
	if err := write(c); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.files = append(w.files, File{Name: name, Size: c.n, SHA256: hex.EncodeToString(c.sum.Sum(nil)), About: about})
	return nil
}

// Close writes the manifest, whose files are those that were added, and returns
// it. The file beneath is not closed.
func (w *Writer) Close(m Manifest) (Manifest, error) {
	m.Version, m.Created, m.Files = 1, w.now, w.files
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	h := &zip.FileHeader{Name: manifestName, Modified: w.now, Method: zip.Deflate}
	h.SetMode(0o600)
	out, err := w.zip.CreateHeader(h)
	if err != nil {
		return m, err
	}
	if _, err := out.Write(append(text, '\n')); err != nil {
		return m, err
	}
	return m, w.zip.Close()
}
