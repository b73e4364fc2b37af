package loaded

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
	"github.com/ukdbg/ukdbg/target"
)

// Files finds the files of objects.
type Files struct {
	// Apps are files that may be any of the guest's images.
	Apps []string
	// Roots are folders that hold the guest's files by their paths.
	Roots []string
	// Initrd is the guest's cpio archive, "" for none.
	Initrd string
	// Debug finds debug information apart from the files, and files by build id;
	// nil looks nowhere.
	Debug *debugfile.Finder
	// Share opens the image in a file, or in a member of an archive, where others may
	// have it open already: it calls open, or finds what open would give. done gives
	// the image back. If it is nil each image is opened for these Files alone.
	Share func(ctx context.Context, file, member string, open func() (*symbolizer.Image, error)) (im *symbolizer.Image, done func() error, err error)
	// Private is the folder for copies of the files: see symbolizer.OpenOptions.
	Private string

	done    []func() error // gives back what Open returned
	opened  bool
	archive *archive
	file    *os.File
	// why the archive cannot be read
	err error
}

// Close closes the archive. The images that were opened stay so.
func (f *Files) Close() error {
	file := f.file
	if f.file = nil; file == nil {
		return nil
	}
	return file.Close()
}

// Release closes the images that Open returned, or gives them back. Nothing may be asked
// about them afterwards.
func (f *Files) Release() error {
	var errs []error
	for _, done := range f.done {
		errs = append(errs, done())
	}
	f.done = nil
	return errors.Join(errs...)
}

// share opens an image for these Files, or for all that share it.
func (f *Files) share(ctx context.Context, file, member string, open func() (*symbolizer.Image, error)) (*symbolizer.Image, func() error, error) {
	if f.Share != nil {
		return f.Share(ctx, file, member, open)
	}
	im, err := open()
	if err != nil {
		return nil, nil, err
	}
	return im, im.Close, nil
}

// MissingError says that there is no file of an object.
type MissingError struct {
	Object Object
	// Tried are the files that were looked at, and why each was not taken.
	Tried []debugfile.Try
}

func (e *MissingError) Error() string {
	var b strings.Builder
	name := e.Object.Path
	if name == "" {
		name = fmt.Sprintf("an image at %#x", e.Object.Start)
	}
	b.WriteString(name)
	if e.Object.BuildID != "" {
		fmt.Fprintf(&b, " build id %s", e.Object.BuildID)
	}
	b.WriteString(": ")
	if len(e.Tried) == 0 {
		b.WriteString("nowhere to look")
	} else {
		b.WriteString("not found in ")
	}
	for i, t := range e.Tried {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t.Path)
		if !errors.Is(t.Err, fs.ErrNotExist) {
			fmt.Fprintf(&b, " (%v)", t.Err)
		}
	}
	b.WriteString("; give --app FILE, --debug-dir DIR or --initrd FILE")
	return b.String()
}

// errOther says that a file is not the one in memory.
type errOther struct{ id string }

func (e errOther) Error() string {
	if e.id == "" {
		return "another file: it has no build id"
	}
	return "another file: build id " + e.id
}

// Open opens the file of an object and makes sure that it is what the guest runs.
// It is open until Release. The error is a *MissingError, or that of the context or of
// the link.
func (f *Files) Open(ctx context.Context, mem target.Memory, o Object) (*symbolizer.Image, error) {
	none := &MissingError{Object: o}
	try := func(name, file, member string, open func() (*symbolizer.Image, error)) (*symbolizer.Image, error) {
		im, done, err := f.share(ctx, file, member, open)
		if err == nil {
			if err = isImage(ctx, mem, o, im); err == nil {
				f.done = append(f.done, done)
				return im, nil
			}
			err = errors.Join(err, done())
		}
		if errors.Is(err, target.ErrLost) || ctx.Err() != nil {
			return nil, errors.Join(err, ctx.Err())
		}
		none.Tried = append(none.Tried, debugfile.Try{Path: name, Err: err})
		return nil, nil
	}
	opt := symbolizer.OpenOptions{Debug: f.Debug, Stripped: true, Private: f.Private}
	for _, name := range f.onDisk(o) {
		im, err := try(name, name, "", func() (*symbolizer.Image, error) { return symbolizer.OpenWith(ctx, name, opt) })
		if im != nil || err != nil {
			return im, err
		}
	}
	if f.Initrd != "" {
		member := o.Path + "\x00" + o.BuildID // both say which it is
		im, err := try(f.Initrd+":"+o.Path, f.Initrd, member, func() (*symbolizer.Image, error) {
			name, data, err := f.inArchive(o)
			if err != nil {
				return nil, err
			}
			return symbolizer.OpenBytesWith(ctx, f.Initrd+":/"+name, data, opt)
		})
		if im != nil || err != nil {
			return im, err
		}
	}
	// A debug file has all names, and no code.
	if f.Debug != nil && o.BuildID != "" {
		im, err := f.byBuildID(ctx, o, opt, none)
		if im != nil || err != nil {
			return im, err
		}
	}
	return nil, none
}

func (f *Files) byBuildID(ctx context.Context, o Object, opt symbolizer.OpenOptions, none *MissingError) (*symbolizer.Image, error) {
	var im *symbolizer.Image
	_, err := f.Debug.Find(ctx, debugfile.Wanted{Image: o.Path, BuildID: o.BuildID}, func(name string) (err error) {
		if im, err = symbolizer.OpenWith(ctx, name, opt); err != nil {
			return err
		}
		if id := im.BuildID(); id != o.BuildID {
			return errors.Join(errOther{id}, im.Close())
		}
		return nil
	})
	var nowhere *debugfile.NotFoundError
	switch {
	case err == nil:
		f.done = append(f.done, im.Close)
		return im, nil
	case errors.As(err, &nowhere):
		none.Tried = append(none.Tried, nowhere.Tried...)
		return nil, nil
	}
	return nil, err
}

// onDisk lists the files that can be the object's, the likely ones first.
func (f *Files) onDisk(o Object) []string {
	var out, rest []string
	for _, a := range f.Apps {
		if filepath.Base(a) == path.Base(o.Path) {
			out = append(out, a)
		} else {
			rest = append(rest, a)
		}
	}
	out = append(out, rest...)
	if o.Path == "" {
		return out
	}
	for _, r := range f.Roots {
		// The guest's path stays below the folder, whatever it says.
		out = append(out, filepath.Join(r, path.Clean("/"+o.Path)))
		if p := filepath.Join(r, path.Base(o.Path)); p != out[len(out)-1] {
			out = append(out, p)
		}
	}
	return out
}

// inArchive finds the object's file by its path, or else by its build id.
func (f *Files) inArchive(o Object) (string, []byte, error) {
	if !f.opened {
		f.opened = true
		f.archive, f.file, f.err = openArchive(f.Initrd)
	}
	if f.err != nil {
		return "", nil, f.err
	}
	if at, ok := f.archive.find(o.Path); ok && o.Path != "" {
		data, err := f.archive.content(at)
		return cleanPath(o.Path), data, err
	}
	if o.BuildID == "" {
		return "", nil, fs.ErrNotExist
	}
	for _, name := range f.archive.names {
		at := f.archive.files[name]
		head := make([]byte, 4)
		if _, err := f.file.ReadAt(head, at.off); err != nil || string(head) != elf.ELFMAG {
			continue
		}
		data, err := f.archive.content(at)
		if err != nil {
			return "", nil, err
		}
		if fileBuildID(data) == o.BuildID {
			return name, data, nil
		}
	}
	return "", nil, fs.ErrNotExist
}

// fileBuildID is the build id in a file, "" if it is no image.
func fileBuildID(data []byte) string {
	im, err := symbolizer.OpenBytesWith(context.Background(), "", data, symbolizer.OpenOptions{Stripped: true})
	if err != nil {
		return ""
	}
	return im.BuildID()
}

// isImage compares a file with what is in memory: by build id, or where there is
// none by bytes.
func isImage(ctx context.Context, mem target.Memory, o Object, im *symbolizer.Image) error {
	id := im.BuildID()
	if o.BuildID != "" {
		if id != o.BuildID {
			return errOther{id}
		}
		return nil
	}
	proof, err := symbolizer.Prove(ctx, mem, symbolizer.Mapping{Image: im, Slide: o.Slide}, symbolizer.ProveOptions{})
	if err != nil {
		return err
	}
	if !proof.Match {
		return errors.New(proof.String())
	}
	return nil
}
