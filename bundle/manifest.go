package bundle

import (
	"errors"
	"io/fs"
	"strings"
	"time"
)

// The names of the files a bundle may have. What is in the folder Image is the
// image itself.
const (
	manifestName = "manifest.json"
	Dump         = "dump.zst"
	Console      = "console.log"
	Log          = "log.txt"
	Trace        = "trace.ukt"
	Faults       = "faults.json"
	Report       = "report.txt"
	ImageFolder  = "image/"
)

// Manifest lists what is in a bundle and where it comes from.
type Manifest struct {
	// Version is 1; fields are only added.
	Version int       `json:"version"`
	Writer  string    `json:"writer"`
	Created time.Time `json:"created"`
	// Target is what was looked at, as the person named it.
	Target string `json:"target"`
	Kernel string `json:"kernel,omitempty"`
	Arch   string `json:"arch,omitempty"`
	Image  *Image `json:"image,omitempty"`
	// Memory tells what the dump holds.
	Memory []Memory `json:"memory"`
	Files  []File   `json:"files"`
}

// Memory is one part of what a dump holds: how much, in how many pieces, and how
// many readable texts of each kind.
type Memory struct {
	Name   string         `json:"name"`
	Pieces int            `json:"pieces"`
	Bytes  uint64         `json:"bytes"`
	Texts  map[string]int `json:"texts,omitempty"`
}

// Image names the image the guest ran.
type Image struct {
	Name    string `json:"name"`
	Hash    string `json:"hash"`
	BuildID string `json:"build_id,omitempty"`
}

// File is one file of a bundle; Size is in bytes, SHA256 in hexadecimal.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// About says what it is, and what of it may be private.
	About string `json:"about"`
}

var (
	// ErrFormat says that a file is no bundle.
	ErrFormat = errors.New("not a bug bundle")
	// ErrDamaged says that a bundle is not what its manifest says.
	ErrDamaged = errors.New("damaged bug bundle")
	// ErrAbsent says that a bundle lacks a file.
	ErrAbsent = errors.New("not in this bundle")
)

const (
	maxManifest = 1 << 20
	maxFiles    = 64
	// MaxFile bounds one file, in bytes.
	MaxFile = 64 << 30
	maxName = 200
)

// goodName reports whether a name is one a bundle may have: a plain name, or one
// in the folder image.
func goodName(name string) bool {
	if len(name) > maxName || !fs.ValidPath(name) || strings.ContainsAny(name, "\\:\x00") {
		return false
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	rest, ok := strings.CutPrefix(name, ImageFolder)
	return name != manifestName && rest != "" && !strings.Contains(rest, "/") && (ok || !strings.Contains(name, "/"))
}
