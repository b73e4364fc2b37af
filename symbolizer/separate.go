package symbolizer

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
)

// separate are the files that hold debug information of an image apart from it.
type separate struct {
	// file has the .debug sections and the symbol table of a stripped image,
	// nil if they are in the image.
	file *Image
	// alt has entries that dwz took out of several files, nil if there is none.
	alt *Image
	// missing says why file or alt was not found, nil if none is wanted.
	missing error
}

// DebugFile is the path of the separate file that holds the debug information,
// "" if it is in the image or was not found.
func (im *Image) DebugFile() string {
	if im.apart.file == nil {
		return ""
	}
	return im.apart.file.Path
}

// MissingDebug says why a file with debug information that the image refers to
// is not used: a *debugfile.NotFoundError tells what was tried. It is nil if none
// is missing or nothing was to look for it.
func (im *Image) MissingDebug() error { return im.apart.missing }

// NoDWARF is nil if there is debug information, in the image or apart from it.
// Else it wraps ErrNoDWARF and tells where it was looked for.
func (im *Image) NoDWARF() error {
	switch {
	case im.HasDWARF():
		return nil
	case im.apart.missing != nil:
		return fmt.Errorf("%s: %w; %w", im.Path, ErrNoDWARF, im.apart.missing)
	}
	return fmt.Errorf("%s: %w", im.Path, ErrNoDWARF)
}

// findSeparate looks for the debug file of an image without DWARF, and for the
// supplementary file of one that dwz worked on.
func (im *Image) findSeparate(ctx context.Context, find *debugfile.Finder) error {
	var missing *debugfile.NotFoundError
	if !im.HasDWARF() {
		err := im.findDebugFile(ctx, find)
		if err != nil && !errors.As(err, &missing) {
			return err
		}
		im.apart.missing = err
	}
	if im.HasDWARF() {
		err := im.findAlt(ctx, find)
		if err != nil && !errors.As(err, &missing) {
			return err
		}
		im.apart.missing = err
	}
	return nil
}

func (im *Image) findDebugFile(ctx context.Context, find *debugfile.Finder) error {
	want := debugfile.Wanted{Image: im.Path, BuildID: im.BuildID()}
	var crc uint32
	if b := im.Section(".gnu_debuglink"); b != nil {
		var err error
		if want.Link, crc, err = debugfile.ParseLink(b, im.bigEndian); err != nil {
			return &debugfile.NotFoundError{Wanted: want, Tried: []debugfile.Try{{Path: im.Path, Err: fmt.Errorf(".gnu_debuglink: %w", err)}}}
		}
	}
	_, err := find.Find(ctx, want, func(path string) error {
		f, err := openCandidate(path)
		if err != nil {
			return err
		}
		if err := im.belongs(f, want, crc); err != nil {
			return errors.Join(err, f.Close())
		}
		im.apart.file = f
		return nil
	})
	return err
}

// belongs reports why f is not the debug file of the image. Of two build ids
// that are there, both must say so; else the checksum of the whole file must.
func (im *Image) belongs(f *Image, want debugfile.Wanted, crc uint32) error {
	id := f.BuildID()
	switch {
	case f.machine != im.machine || f.bigEndian != im.bigEndian:
		return fmt.Errorf("is for %s", f.machine)
	case !f.HasDWARF() && !f.hasSymbols():
		return ErrStripped
	case want.BuildID != "" && id != "":
		if id != want.BuildID {
			return fmt.Errorf("has build id %s", id)
		}
		return nil
	case want.Link == "":
		return errors.New("has no build id")
	}
	sum, err := f.file.checksum()
	if err == nil && sum != crc {
		err = fmt.Errorf("has CRC %08x, the image wants %08x", sum, crc)
	}
	return err
}

// findAlt finds the file that .gnu_debugaltlink or .debug_sup names.
func (im *Image) findAlt(ctx context.Context, find *debugfile.Finder) error {
	want := debugfile.Wanted{Image: im.debugSide().Path}
	var err error
	if b := im.Section(".gnu_debugaltlink"); b != nil {
		want.AltPath, want.BuildID, err = debugfile.ParseAltLink(b)
	} else if b := im.Section(".debug_sup"); b != nil {
		want.AltPath, want.BuildID, err = debugfile.ParseSup(b, im.bigEndian)
	} else {
		return nil
	}
	if err != nil {
		return &debugfile.NotFoundError{Wanted: want, Tried: []debugfile.Try{{Path: want.Image, Err: err}}}
	}
	_, err = find.Find(ctx, want, func(path string) error {
		f, err := openCandidate(path)
		if err != nil {
			return err
		}
		switch id := f.supplementID(); {
		case id != want.BuildID:
			err = fmt.Errorf("has build id %q", id)
		case !f.HasDWARF():
			err = ErrNoDWARF
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
		im.apart.alt = f
		return nil
	})
	return err
}

// supplementID is what a supplementary file is known by: its build id, or the
// checksum in its .debug_sup, which says it is one.
func (im *Image) supplementID() string {
	if id := im.BuildID(); id != "" {
		return id
	}
	return debugfile.ParseOwnSup(im.Section(".debug_sup"), im.bigEndian)
}

// debugSide is the image that has the debug information.
func (im *Image) debugSide() *Image {
	if im.apart.file != nil {
		return im.apart.file
	}
	return im
}

// apartName reports whether a section is one that a separate debug file has.
func apartName(name string) bool {
	return strings.HasPrefix(name, ".debug_") || name == ".gnu_debugaltlink"
}

// openCandidate opens a file that may be a debug file. It has no content for
// what is in memory.
func openCandidate(path string) (*Image, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	im := &Image{Path: path, file: f, part: true}
	if err := im.parseELF(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return im, nil
}

// checksum is the CRC-32 of .gnu_debuglink: that of IEEE 802.3 over the file.
func (f *file) checksum() (uint32, error) {
	if f.f == nil {
		return crc32.ChecksumIEEE(f.data), nil
	}
	h := crc32.NewIEEE()
	_, err := io.Copy(h, io.NewSectionReader(f.f, 0, f.size))
	return h.Sum32(), err
}

// symbolSide is the image whose symbol table is used: a separate debug file has
// the full one where the image kept what its dynamic linker needs.
func (im *Image) symbolSide() *Image {
	if f := im.apart.file; f != nil {
		if s := f.symbolSection(); s != nil && s.Type == elf.SHT_SYMTAB {
			return f
		}
	}
	return im
}
