package imageindex

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

const defaultMaxImages = 4096

// Image is one image of the index.
type Image struct {
	// Hash is the content hash.
	Hash string
	// Arch is "x86_64" or "arm64".
	Arch string
	// BuildID is the linker's, "" if there is none, as in a Unikraft.
	BuildID string
	// Debug is a file with debug information that can be opened, "" if there is
	// none; Kernel is one without.
	Debug, Kernel string
	// Files are all files of this content, at most maxFilesEach.
	Files []File

	pages []page
}

// File is a file of an image.
type File struct {
	// Path is the file; for one in an archive where it was put, or From.
	Path string
	// From names an archive, an image in it and the file in that, "" for a file
	// of a folder.
	From string
	Form Form
	// Debug: it has debug information.
	Debug bool
	// Archive: the file is in an archive and was not taken out of it.
	Archive bool
}

// maxFilesEach bounds the files that are listed of one image.
const maxFilesEach = 16

// Stats say what a Refresh did.
type Stats struct {
	// Images in the index, and how many of these have debug information.
	Images, Debug int
	// Loose files hold an image of which there is no file with sections.
	Loose int
	// Files that were looked at, and how many of these had to be read.
	Files, Read int
	// Notes say what could not be read, and which limit was reached; at most
	// maxNotes.
	Notes []string
}

const maxNotes = 32

// Index knows images by content. It may be used by many goroutines.
type Index struct {
	opt Options
	now atomic.Pointer[snapshot]

	mu    sync.Mutex // of what follows: one Refresh at a time
	files map[string]known
	plain map[fileID]bool // files that are no images
	blobs map[string]blob
	loose map[string]matched
	begun bool // what another process kept was read

	askedMu sync.Mutex
	asked   map[string]known // kernel files of guests
}

// known is a file that was read.
type known struct {
	id  fileID
	sum *summary // nil for what is no image
}

// snapshot is the index at one time. It does not change.
type snapshot struct {
	images []*Image          // by hash
	byHash map[string]*Image // by content hash
	byPage map[uint64][]*Image
	firsts []uint64 // addresses of first pages, the most frequent first
	loose  []looseFile
}

// looseFile is a file with an image that cannot tell its hash.
type looseFile struct {
	path string
	from string
	id   fileID
	sum  *summary
}

// New makes an index, which is empty until the first Refresh.
func New(opt Options) *Index {
	if opt.MaxImages <= 0 {
		opt.MaxImages = defaultMaxImages
	}
	x := &Index{opt: opt, files: map[string]known{}, plain: map[fileID]bool{}, blobs: map[string]blob{}, loose: map[string]matched{}, asked: map[string]known{}}
	x.now.Store(&snapshot{})
	return x
}

// Images lists the index by hash. What it points to must not be changed.
func (x *Index) Images() []*Image { return slices.Clone(x.now.Load().images) }

// Refresh looks for images. What did not change since is not read again. The error
// is that of the context: a source that cannot be read is a note.
func (x *Index) Refresh(ctx context.Context) (Stats, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begin()
	s := &scan{x: x, ctx: ctx, files: map[string]known{}, plain: map[fileID]bool{}, blobs: map[string]blob{}, images: map[string]*Image{}}
	s.sources()
	if err := ctx.Err(); err != nil {
		return s.stats, err
	}
	x.files, x.plain, x.blobs = s.files, s.plain, s.blobs
	now := s.snapshot()
	s.matchLoose(now)
	if err := ctx.Err(); err != nil {
		return s.stats, err
	}
	for _, im := range now.images {
		im.finish()
		if im.Debug != "" {
			s.stats.Debug++
		}
	}
	s.stats.Images, s.stats.Loose = len(now.images), len(now.loose)
	x.now.Store(now)
	x.keep(s.stats.Read > 0)
	return s.stats, nil
}

// add makes a file known to the image.
func (im *Image) add(f File, sum *summary) {
	im.Arch, im.BuildID = cmp.Or(im.Arch, sum.Arch), cmp.Or(im.BuildID, sum.BuildID)
	if len(im.pages) == 0 {
		im.pages = sum.Pages
	}
	if !slices.ContainsFunc(im.Files, func(o File) bool { return o.Path == f.Path }) {
		im.Files = append(im.Files, f)
	}
}

// finish chooses the files to use: plain ones before those taken out of archives,
// then by name, so that it is the same in each process.
func (im *Image) finish() {
	slices.SortFunc(im.Files, func(a, b File) int {
		return cmp.Or(boolFirst(b.Debug, a.Debug), boolFirst(a.Archive, b.Archive), len(a.Path)-len(b.Path), strings.Compare(a.Path, b.Path))
	})
	for _, f := range im.Files {
		switch {
		case f.Archive:
		case f.Debug && im.Debug == "":
			im.Debug = f.Path
		case !f.Debug && im.Kernel == "":
			im.Kernel = f.Path
		}
	}
	im.Files = im.Files[:min(len(im.Files), maxFilesEach):min(len(im.Files), maxFilesEach)]
}

// boolFirst orders false before true.
func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
