package imageindex

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// wantedFiles are where an OCI package of a unikernel holds it; the one with debug
// information is there only if it was packed so.
var wantedFiles = []string{"unikraft/bin/kernel", "unikraft/bin/kernel.dbg"}

// Limits of a layer.
const (
	maxLayer   = 4 << 30 // of what is in it, unpacked
	maxEntries = 1 << 18
	maxKernel  = 1 << 30
	// maxWindow bounds what zstd keeps in memory: what its format recommends a reader
	// to support (RFC 8878, section 3.1.1.1.2) and some more.
	maxWindow = 32 << 20
)

// blob is what is known of a blob that is a layer.
type blob struct {
	ID      fileID
	Files   []packed
	Removed []string // names that are in an earlier layer and not in this one (whiteouts)
}

// packed is a file in a layer.
type packed struct {
	Name string
	Sum  *summary // nil if it is no image
	// Path is where it was put, "" if it was not; ID is that of the file.
	Path string
	ID   fileID
}

// blob looks at a layer, unless it did before.
func (l *layout) blob(d descriptor) blob {
	if b, ok := l.s.blobs[d.Digest]; ok {
		return b
	}
	b, err := l.readBlob(d)
	if err != nil && l.s.ctx.Err() == nil {
		l.s.note("%s: layer %s: %v", l.dir, d.Digest, err)
	}
	l.s.blobs[d.Digest] = b
	return b
}

func (l *layout) readBlob(d descriptor) (blob, error) {
	s := l.s
	path, h, want, err := l.blobPath(d)
	if err != nil {
		return blob{}, err
	}
	f, id, err := openRegular(path)
	if err != nil {
		return blob{}, err
	}
	defer f.Close()
	s.stats.Files++
	if b, ok := s.x.blobs[d.Digest]; ok && b.ID == id && b.kept() {
		return b, nil
	}
	if s.unpacked >= maxUnpacked {
		return blob{}, fmt.Errorf("not read: %d bytes were unpacked already", s.unpacked)
	}
	s.stats.Read++
	b := blob{ID: id}
	var n int64
	b.Files, b.Removed, n, err = unpackLayer(s.ctx, io.TeeReader(f, h), s.x.storage())
	s.unpacked += n
	if err == nil {
		// What follows the archive is part of the blob.
		_, err = io.Copy(h, f)
	}
	if err == nil && hex.EncodeToString(h.Sum(nil)) != want {
		err = errors.New("it does not have the content its digest says")
	}
	var system *fs.PathError
	switch {
	case errors.As(err, &system) || errors.Is(err, errFull):
		return blob{}, err // it may be better the next time
	case err != nil:
		return blob{ID: id}, err
	}
	return b, nil
}

// kept reports whether the files taken out of the blob are still there.
func (b *blob) kept() bool {
	return !slices.ContainsFunc(b.Files, func(p packed) bool {
		if p.Path == "" {
			return false
		}
		st, err := os.Lstat(p.Path)
		return err != nil || !st.Mode().IsRegular() || idOf(st) != p.ID
	})
}

// unpackLayer reads a layer: a tar archive, plain or compressed by gzip or zstd, which
// its first bytes tell (layer.md). n is how many bytes were in it.
func unpackLayer(ctx context.Context, r io.Reader, to *storage) (files []packed, removed []string, n int64, err error) {
	limited := &io.LimitedReader{N: maxLayer}
	defer func() { n = maxLayer - limited.N }()
	br := bufio.NewReaderSize(r, 64<<10)
	head, _ := br.Peek(4)
	in := io.Reader(br)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if in, err = gzip.NewReader(br); err != nil {
			return nil, nil, 0, err
		}
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, 0, err
		}
		defer z.Close()
		in = z
	}
	limited.R = reader{ctx, in}
	t := tar.NewReader(limited)
	for entries := 0; ; entries++ {
		h, err := t.Next()
		switch {
		case limited.N <= 0 || entries > maxEntries:
			return nil, nil, 0, fmt.Errorf("more than %d bytes or %d files in it", int64(maxLayer), maxEntries)
		case err == io.EOF:
			// The rest of the stream, its checksum at the end among it.
			if _, err := io.Copy(io.Discard, limited); err != nil {
				return nil, nil, 0, err
			}
			return files, removed, 0, nil
		case err != nil:
			return nil, nil, 0, err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		removed = append(removed, whiteouts(name)...)
		if h.Typeflag != tar.TypeReg || !slices.Contains(wantedFiles, name) {
			continue
		}
		if h.Size > maxKernel {
			return nil, nil, 0, fmt.Errorf("%s has %d bytes, more than the %d there can be", name, h.Size, maxKernel)
		}
		p, err := to.put(ctx, name, t)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("%s: %w", name, err)
		}
		files = append(slices.DeleteFunc(files, func(o packed) bool { return o.Name == name }), p)
	}
}

// whiteouts are the wanted files that an entry of a layer removes (layer.md,
// "Whiteouts").
func whiteouts(name string) (out []string) {
	dir, base := path.Split(name)
	gone, ok := strings.CutPrefix(base, ".wh.")
	if !ok {
		return nil
	}
	for _, w := range wantedFiles {
		if gone == ".wh..opq" && strings.HasPrefix(w, dir) || w == dir+gone || strings.HasPrefix(w, dir+gone+"/") {
			out = append(out, w)
		}
	}
	return out
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
