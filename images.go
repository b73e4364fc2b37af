package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/internal/inode"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
)

// Images are opened images that sessions share: each is read once, and kept for a
// while after the last session that used it was closed. It may be used by many
// goroutines; a Session still belongs to one.
//
//	images := ukdbg.NewImages(64)
//	defer images.Close()
//	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: "pid:4711", Image: "app.dbg", Images: images})
//	if err != nil { ... }
//	defer s.Close(ctx) // gives the image back
type Images struct {
	limit int

	mu     sync.Mutex
	open   map[fileID]*sharedImage
	closed bool
	stats  ImagesStats
}

// ImagesStats say how images were shared.
type ImagesStats struct {
	// Open images now, and how many of these a session uses.
	Open, Used int
	// Opened counts files that were read, Shared how often one was open already.
	Opened, Shared uint64
}

// ErrImagesFull says that as many images are open and in use as may be.
var ErrImagesFull = errors.New("too many images in use at once")

// DefaultImages is the limit of Images where none is given.
const DefaultImages = 256

// imageIdle is for how long an image without a session stays open.
const imageIdle = time.Minute

// fileID names the content of a file: another file, and the same one when it was
// written again, has another. The finder decides which debug information belongs
// to it.
type fileID struct {
	dev, ino uint64
	size     int64
	time     int64
	member   string // of the archive that the file is, "" for the file
	find     *debugfile.Finder
	cache    string
}

// sharedImage is one of Images, guarded by Images.mu; openedImage and err do not
// change any more once ready is closed.
type sharedImage struct {
	*openedImage
	ready chan struct{} // closed when the image was opened, or err tells why not
	err   error
	// same is the image with this content that was open already, else nil.
	same  *sharedImage
	ids   []fileID // files of this content, at most maxSame
	refs  int
	since time.Time   // when refs became 0
	timer *time.Timer // closes it then
}

// maxSame bounds the files that are known to have the content of one image, such
// as those of containers. One more is compared again.
const maxSame = 256

// NewImages makes a place for at most limit images, DefaultImages if limit is 0.
func NewImages(limit int) *Images {
	if limit <= 0 {
		limit = DefaultImages
	}
	return &Images{limit: limit, open: map[fileID]*sharedImage{}}
}

// Stats counts.
func (m *Images) Stats() ImagesStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.stats
	for im := range m.all() {
		out.Open++
		if im.refs > 0 {
			out.Used++
		}
	}
	return out
}

// all visits each image once.
func (m *Images) all() func(yield func(*sharedImage) bool) {
	return func(yield func(*sharedImage) bool) {
		for id, im := range m.open {
			if im.ids[0] == id && !yield(im) {
				return
			}
		}
	}
}

// acquire opens an image, or finds it open. done gives it back.
func (m *Images) acquire(ctx context.Context, id fileID, open func() (*openedImage, error)) (got *openedImage, done func() error, err error) {
	for {
		im, mine, err := m.reserve(id)
		if err != nil {
			return nil, nil, err
		}
		if mine {
			m.fill(im, id, open)
		}
		select {
		case <-im.ready:
			err = im.err
		case <-ctx.Done():
			// Whoever opens it still does.
			return nil, nil, errors.Join(ctx.Err(), m.drop(im))
		}
		if err == nil {
			return m.opened(im), sync.OnceValue(func() error { return m.drop(im) }), nil
		}
		_ = m.drop(im) // it was never open
		if mine || !isContext(err) || ctx.Err() != nil {
			return nil, nil, err
		}
		// Another's time ran out, ours did not.
	}
}

// opened is what a place that is ready holds.
func (m *Images) opened(im *sharedImage) *openedImage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return im.last().openedImage
}

func (im *sharedImage) last() *sharedImage {
	if im.same != nil {
		return im.same
	}
	return im
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// reserve finds the image of a file, or makes a place for it, which the caller
// must fill.
func (m *Images) reserve(id fileID) (im *sharedImage, mine bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, false, os.ErrClosed
	}
	if im = m.open[id]; im != nil {
		m.stats.Shared++
		im.use()
		return im, false, nil
	}
	im = &sharedImage{ready: make(chan struct{}), ids: []fileID{id}, refs: 1}
	m.open[id] = im
	return im, true, nil
}

func (im *sharedImage) use() {
	im.refs++
	if im.timer != nil {
		im.timer.Stop()
		im.timer = nil
	}
}

// makeRoom closes the image that is unused for longest if there is no room for one
// more.
func (m *Images) makeRoom() error {
	n := 0
	var oldest *sharedImage
	for im := range m.all() {
		if im.openedImage == nil {
			continue // it is being opened, and may be one that is
		}
		n++
		if im.refs == 0 && (oldest == nil || im.since.Before(oldest.since)) {
			oldest = im
		}
	}
	if n < m.limit {
		return nil
	}
	if oldest == nil {
		return fmt.Errorf("%w: %d", ErrImagesFull, n)
	}
	return m.remove(oldest)
}

// fill opens the image a place was reserved for. It may turn out to be one that is
// open under another name.
func (m *Images) fill(im *sharedImage, id fileID, open func() (*openedImage, error)) {
	opened, err := open()
	var same *sharedImage
	if err == nil {
		same = m.twin(opened, id)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		im.err = err
		delete(m.open, id) // the next one tries again
	case same != nil:
		m.stats.Shared++
		_ = opened.file.Close() // only read
		im.same = same
		same.refs += im.refs - 1 // twin took one
		m.open[id] = same
		if same.ids = append(same.ids, id); len(same.ids) > maxSame {
			delete(m.open, same.ids[1])
			same.ids = append(same.ids[:1], same.ids[2:]...)
		}
	default:
		m.stats.Opened++
		if im.err = m.makeRoom(); im.err != nil {
			im.err = errors.Join(im.err, opened.file.Close())
			delete(m.open, id)
			break
		}
		im.openedImage = opened
	}
	close(im.ready)
}

// openShared opens an image to be used for long. It is a copy, so that a process with
// many guests does not die of one file that is cut; and what reading all of it left in
// memory is given up for what was made of that, a tenth of it.
func openShared(ctx context.Context, opt Options) (*openedImage, error) {
	private := privateDir(opt)
	first, err := openImageFile(ctx, opt, private)
	if err != nil {
		return nil, err
	}
	memo := &symbolizer.Memo{}
	first.file.UseMemo(memo)
	first.read()
	if memo.Make() == 0 {
		return first, nil // it was on disk, or there is nothing to it
	}
	lean, err := openImageFile(ctx, opt, private)
	if err != nil {
		return first, nil // the file is gone by now
	}
	if !lean.file.SameFile(first.file) {
		return first, lean.file.Close()
	}
	lean.file.UseMemo(memo)
	return lean, first.file.Close()
}

// privateDir is the folder for copies of images.
func privateDir(opt Options) string {
	if st, err := os.Stat(opt.CacheDir); err == nil && st.IsDir() {
		return opt.CacheDir
	}
	return os.TempDir()
}

// twin finds the image that is open and has the content of another, and takes a
// reference of it.
func (m *Images) twin(opened *openedImage, id fileID) *sharedImage {
	m.mu.Lock()
	var like []*sharedImage
	for im := range m.all() {
		if o := im.ids[0]; im.openedImage != nil && o.size == id.size && o.find == id.find && o.cache == id.cache {
			im.use()
			like = append(like, im)
		}
	}
	m.mu.Unlock()
	var found *sharedImage
	for _, im := range like {
		if found == nil && im.file.SameFile(opened.file) {
			found = im
			continue
		}
		_ = m.drop(im) // it stays open
	}
	return found
}

// drop gives an image back.
func (m *Images) drop(im *sharedImage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	im = im.last()
	if im.refs--; im.refs > 0 {
		return nil
	}
	if im.err != nil || m.closed {
		return m.remove(im)
	}
	im.since = time.Now()
	im.timer = time.AfterFunc(imageIdle, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if im.refs == 0 {
			_ = m.remove(im) // nobody is left to be told
		}
	})
	return nil
}

// remove closes an image that nobody uses.
func (m *Images) remove(im *sharedImage) error {
	for _, id := range im.ids {
		if m.open[id] == im {
			delete(m.open, id)
		}
	}
	if im.timer != nil {
		im.timer.Stop()
		im.timer = nil
	}
	opened := im.openedImage
	im.openedImage = nil
	if opened == nil {
		return nil
	}
	return opened.file.Close()
}

// Close closes the images nobody uses; each other is closed when its last session
// is. No image is opened any more.
func (m *Images) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	var errs []error
	for im := range m.all() {
		if im.refs == 0 {
			errs = append(errs, m.remove(im))
		}
	}
	return errors.Join(errs...)
}

// identify tells which file is at path.
func identify(path string, opt Options) (fileID, error) {
	st, err := os.Stat(path)
	if err != nil {
		return fileID{}, err
	}
	id := fileID{size: st.Size(), time: st.ModTime().UnixNano(), find: opt.Debug, cache: opt.CacheDir}
	if n, ok := inode.Of(st); ok {
		id.dev, id.ino = n.Dev, n.Ino
	}
	return id, nil
}
