package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/guest/prebuilt"
)

// ErrUnknown says that there is no image of that name; Names lists them.
var ErrUnknown = errors.New("no such guest image")

// SourcePrefix is how the images' DWARF calls the guest/ folder of this repository.
const SourcePrefix = "/src/guest"

// Image is one guest: a bootable file and the same program with its debug information.
type Image struct {
	Name    string // ukguest-x86_64-pie
	Arch    string // x86_64 or arm64
	Variant string // pie; empty for the plain image
}

// Names lists the images, sorted.
func Names() []string {
	entries, err := fs.ReadDir(prebuilt.FS, ".")
	if err != nil {
		return nil // an embedded file system has its root
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".dbg"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Find returns the image of that name, or an error that is ErrUnknown and lists what there is.
func Find(name string) (Image, error) {
	names := Names()
	if !slices.Contains(names, name) {
		return Image{}, fmt.Errorf("%w: %q; there are %s", ErrUnknown, name, strings.Join(names, ", "))
	}
	rest := strings.TrimPrefix(name, "ukguest-")
	arch, variant, _ := strings.Cut(rest, "-")
	return Image{Name: name, Arch: arch, Variant: variant}, nil
}

// Open opens the file NAME or NAME.dbg.
func Open(file string) (fs.File, error) { return prebuilt.FS.Open(file) }

// Boot returns the bytes of the bootable file of the image called name.
func Boot(name string) ([]byte, error) { return prebuilt.FS.ReadFile(name) }

// Debug returns the bytes of NAME.dbg.
func Debug(name string) ([]byte, error) { return prebuilt.FS.ReadFile(name + ".dbg") }

// Extract writes both files into dir and returns their paths.
func (i Image) Extract(dir string) (boot, dbg string, err error) {
	boot, dbg = filepath.Join(dir, i.Name), filepath.Join(dir, i.Name+".dbg")
	for _, path := range []string{boot, dbg} {
		data, err := prebuilt.FS.ReadFile(filepath.Base(path))
		if err != nil {
			return "", "", fmt.Errorf("guest image %s: %w", i.Name, err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return "", "", fmt.Errorf("guest image %s: %w", i.Name, err)
		}
	}
	return boot, dbg, nil
}
