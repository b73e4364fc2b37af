package debugfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// DefaultDir is where distributions put debug files.
const DefaultDir = "/usr/lib/debug"

// Fetcher gets files by build id from elsewhere: package debuginfod has one.
type Fetcher interface {
	// Debuginfo returns the path of the debug file of a build id in
	// hexadecimal. The error says what was asked.
	Debuginfo(ctx context.Context, buildID string) (path string, err error)
	// Forget drops a file that is not what was asked for, so that the next
	// request gets it anew.
	Forget(buildID string) error
}

// Finder finds debug files. The zero Finder looks beside the image alone.
type Finder struct {
	// Dirs are folders laid out as DefaultDir is: .build-id/xx/yyyy.debug, and
	// the path of each image below.
	Dirs []string
	// Fetch is asked last, by build id; nil asks nobody.
	Fetch Fetcher
}

// Wanted says which file is looked for. Empty fields are not known.
type Wanted struct {
	// Image is the path of the file that names it.
	Image string
	// BuildID is the build id of the wanted file in hexadecimal, which is the
	// same as the image's but for supplementary files.
	BuildID string
	// Link is the file name in .gnu_debuglink.
	Link string
	// AltPath is the path in .gnu_debugaltlink.
	AltPath string
}

// Check opens a file that is there and says why it is not the wanted one, nil if
// it is.
type Check func(path string) error

// Find returns the path of the first file that check takes. The error is a
// *NotFoundError, or that of the context.
func (f *Finder) Find(ctx context.Context, w Wanted, check Check) (string, error) {
	none := &NotFoundError{Wanted: w}
	for _, path := range f.places(w) {
		err := regular(path)
		if err == nil {
			err = check(path)
		}
		if err == nil {
			return path, nil
		}
		none.Tried = append(none.Tried, Try{path, err})
	}
	if f.Fetch == nil || !validID(w.BuildID) {
		return "", none
	}
	// A second time, for what was kept may be damaged.
	for range 2 {
		path, err := f.Fetch.Debuginfo(ctx, w.BuildID)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			none.Tried = append(none.Tried, Try{"", err})
			return "", none
		}
		if err = check(path); err == nil {
			return path, nil
		}
		none.Tried = append(none.Tried, Try{path, errors.Join(err, f.Fetch.Forget(w.BuildID))})
	}
	return "", none
}

// places lists the paths where the file can be, each once and never the image
// itself.
func (f *Finder) places(w Wanted) []string {
	var out []string
	image, err := filepath.Abs(w.Image)
	if err != nil {
		image = filepath.Clean(w.Image)
	}
	seen := map[string]bool{image: true}
	add := func(parts ...string) {
		if p := filepath.Join(parts...); !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	folder := filepath.Dir(image)
	if p := w.AltPath; p != "" {
		if filepath.IsAbs(p) {
			add(p)
		} else {
			add(folder, p)
		}
	}
	if validID(w.BuildID) {
		for _, dir := range f.Dirs {
			add(dir, ".build-id", w.BuildID[:2], w.BuildID[2:]+".debug")
		}
	}
	if w.Link == "" || strings.ContainsRune(w.Link, '/') {
		return out
	}
	// A link in a path, as of /lib to /usr/lib, may lead to where the files of
	// the package are.
	folders := []string{folder}
	if real, err := filepath.EvalSymlinks(folder); err == nil && real != folder {
		folders = append(folders, real)
	}
	for _, d := range folders {
		add(d, w.Link)
		add(d, ".debug", w.Link)
	}
	for _, dir := range f.Dirs {
		for _, d := range folders {
			add(dir, d, w.Link)
		}
	}
	return out
}

// regular refuses what is no plain file before anything opens it: a pipe would
// wait for ever.
func regular(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	return err
}

// validID reports whether a build id can be part of a path and of a URL.
func validID(id string) bool {
	if len(id) < 8 || len(id) > 128 || len(id)%2 != 0 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Try is one place that was looked at, and why what is there was not taken.
type Try struct {
	// Path is the file, "" for a Fetcher.
	Path string
	Err  error
}

// NotFoundError says that no file is the wanted one.
type NotFoundError struct {
	Wanted Wanted
	Tried  []Try
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no debug file for %s", e.Wanted.Image)
	switch w := e.Wanted; {
	case w.AltPath != "":
		fmt.Fprintf(&b, " (it shares entries with %s, build id %s)", w.AltPath, w.BuildID)
	case w.BuildID != "" && w.Link != "":
		fmt.Fprintf(&b, " (build id %s, %s)", w.BuildID, w.Link)
	case w.BuildID != "":
		fmt.Fprintf(&b, " (build id %s)", w.BuildID)
	case w.Link != "":
		fmt.Fprintf(&b, " (%s)", w.Link)
	default:
		return b.String() + ": it has neither a build id nor a .gnu_debuglink"
	}
	if len(e.Tried) == 0 {
		return b.String() + ": nowhere to look: give --debug-dir"
	}
	b.WriteString(": tried")
	for i, t := range e.Tried {
		if i > 0 {
			b.WriteByte(',')
		}
		switch {
		case t.Path == "":
			fmt.Fprintf(&b, " %v", t.Err)
		case errors.Is(t.Err, fs.ErrNotExist):
			fmt.Fprintf(&b, " %s", t.Path)
		default:
			fmt.Fprintf(&b, " %s (%v)", t.Path, t.Err)
		}
	}
	return b.String()
}

// Unwrap gives the reasons, for errors.Is and errors.As.
func (e *NotFoundError) Unwrap() []error {
	out := make([]error, len(e.Tried))
	for i, t := range e.Tried {
		out[i] = t.Err
	}
	return out
}
