package ukdbg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/pickle"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// TraceFile is an open file of traces.
type TraceFile struct {
	stream.Source
	// Kind is what the file is, in words.
	Kind string
	// Path is the file's.
	Path string
	file io.Closer
}

// Close closes the file.
func (f *TraceFile) Close() error { return f.file.Close() }

// ErrNoTraceFile says that a file holds no traces of a form that is known.
var ErrNoTraceFile = errors.New("no trace file: neither a recording, nor a raw trace buffer, nor a file of upstream's trace.py")

// IsTraceFile reports whether path names a file, or "-" the standard input, that
// begins like one that OpenTraceFile reads.
func IsTraceFile(path string) bool {
	if path == "-" {
		return true
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return err == nil && st.Mode()&os.ModeNamedPipe != 0
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, 16)
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	return traceKind(begin[:n]) != 0
}

type traceFileKind int

const (
	notTrace traceFileKind = iota
	isRecording
	isPickle
	isRaw
)

func traceKind(begin []byte) traceFileKind {
	switch {
	case recording.Is(begin):
		return isRecording
	case pickle.Is(begin):
		return isPickle
	case bytes.HasPrefix(begin, []byte("TRhd")):
		return isRaw
	}
	return notTrace
}

// OpenTraceFile opens a recording, a raw trace buffer or a file of upstream's
// trace.py; "-" is stdin. image is the ELF image that a raw buffer needs, and
// files of upstream's without definitions; "" for none. With raw a file that
// does not begin with a record is taken for a raw buffer all the same.
func OpenTraceFile(path, image string, stdin io.Reader, raw bool) (*TraceFile, error) {
	in, closer := io.NopCloser(stdin), io.Closer(io.NopCloser(nil))
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		in, closer = f, f
	}
	tf, err := openTraces(in, path, image, raw)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), closer.Close())
	}
	tf.Path, tf.file = path, closer
	return tf, nil
}

func openTraces(in io.Reader, path, image string, raw bool) (*TraceFile, error) {
	begin := make([]byte, 16)
	n, err := io.ReadFull(in, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	begin = begin[:n]
	all := io.MultiReader(bytes.NewReader(begin), in)
	kind := traceKind(begin)
	if raw {
		kind = isRaw
	}
	switch kind {
	case isRecording:
		return &TraceFile{Source: stream.NewRecording(all), Kind: "recording"}, nil
	case isPickle:
		return openPickle(all, path, image)
	case isRaw:
		return openRaw(all, path, image)
	}
	return nil, ErrNoTraceFile
}

// openRaw reads the bytes of a trace buffer.
func openRaw(in io.Reader, path, image string) (*TraceFile, error) {
	if image == "" {
		return nil, mark(errors.New("a raw trace buffer has no definitions: give the image with -e"), ErrUsage)
	}
	g, err := imageTraceGuest(image)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, tracebuf.MaxBuffer+1))
	if err != nil {
		return nil, err
	}
	if len(data) > tracebuf.MaxBuffer {
		return nil, fmt.Errorf("more than %d bytes", tracebuf.MaxBuffer)
	}
	return snapshotFile(g, data, path, "raw trace buffer"), nil
}

func imageTraceGuest(image string) (*stream.Guest, error) {
	im, err := symbolizer.Open(image)
	if err != nil {
		return nil, mark(fmt.Errorf("image: %w", err), ErrUsage)
	}
	return traceGuest(im, image)
}

func snapshotFile(g *stream.Guest, data []byte, path, kind string) *TraceFile {
	g.Target, g.Instance = path, fileInstance(g, data)
	slide, _ := tracebuf.InferSlide(data, g.Definitions)
	return &TraceFile{Source: stream.NewSnapshot(g, recording.Data{Slide: slide}, data), Kind: kind}
}

// openPickle reads a file of upstream's.
func openPickle(in io.Reader, path, image string) (*TraceFile, error) {
	save, err := pickle.Read(in)
	if err != nil {
		return nil, err
	}
	kind := fmt.Sprintf("file of upstream's trace.py, %d objects", save.Objects)
	if err := save.KeyVals.CheckVersion(); err != nil {
		return nil, err
	}
	var g *stream.Guest
	switch {
	case len(save.Definitions) > 0:
		defs, err := tracebuf.ParseDefinitions(save.Definitions)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(save.ELF), ".dbg")
		if save.ELF == "" {
			name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		}
		g = &stream.Guest{Definitions: defs}
		g.Name, g.KeyVals = name, save.KeyVals
		if save.ELF != "" {
			g.Image = filepath.Base(save.ELF)
		}
	case image != "":
		if g, err = imageTraceGuest(image); err != nil {
			return nil, err
		}
	default:
		return nil, mark(fmt.Errorf("%w: give the image with -e", pickle.ErrNoDefinitions), ErrUsage)
	}
	return snapshotFile(g, save.Buffer, path, kind), nil
}
