package imageindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

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
	// look for: a content hash, or "page:" and the key of a page of its code; "" if
	// there was nothing to make one of.
	Hash string
	// Debug is the file with debug information, "" if there is none.
	Debug string
	// Kernel is a file of the image without it, "" if none is known.
	Kernel string
	// Proved: the guest holds the image's read-only bytes.
	Proved bool
	// Slide is where the guest loaded it, if that was proved: run-time address =
	// link-time address + Slide.
	Slide uint64
	// How says how the image was found and what proves it.
	How string
}

// ErrUnknown says that no image in the index is the guest's.
var ErrUnknown = errors.New("image unknown")

const (
	// maxProofs bounds the images that are compared in full with one guest.
	maxProofs = 64
	// maxPlaces bounds the pages of a guest that are read to find candidates.
	maxPlaces = 1 << 14
	// maxSlides is how far slides are tried, in steps of slideStep both ways: as
	// loaders of arm64 place an Image.
	maxSlides = 64
	slideStep = 2 << 20
)

// Find tells a guest's image. Where none in the index is the guest's, nor the file it
// was booted from, the error wraps ErrUnknown, and Match.Hash is what to look for.
// Other errors are those of the link and of the context.
func (x *Index) Find(ctx context.Context, g Guest) (Match, error) {
	f := &finder{ctx: ctx, x: x, now: x.now.Load(), g: g, tried: map[string]bool{}}
	m, ok := f.byKernel()
	if !ok && f.err == nil && g.Memory != nil {
		m, ok = f.byMemory()
	}
	switch {
	case f.err != nil:
		return Match{}, f.err
	case ok:
		return m, nil
	}
	m = f.unknown()
	if m.Hash == "" {
		return m, fmt.Errorf("%w: %s", ErrUnknown, m.How)
	}
	return m, fmt.Errorf("%w: %s; look for %s (ukdbg images --find)", ErrUnknown, m.How, m.Hash)
}

// finder looks for the image of one guest.
type finder struct {
	ctx   context.Context
	x     *Index
	now   *snapshot
	g     Guest
	err   error // of the link or the context, which ends the search
	tried map[string]bool

	proofs  int
	places  int
	kernel  *summary // of the kernel file, nil if it cannot be read
	why     []string // what the candidates lack
	skipped bool     // maxProofs was reached
}

// Names are the files that hold the image of a guest that was booted from a kernel
// file, if they are there: what builds leave beside it, and the file itself.
func Names(kernel string) []string {
	return slices.Compact([]string{kernel + ".dbg", strings.TrimSuffix(kernel, filepath.Ext(kernel)) + ".dbg", kernel})
}

// byKernel takes the file the guest was booted from, and the .dbg beside it, for
// hints.
func (f *finder) byKernel() (Match, bool) {
	if f.g.Kernel == "" {
		return Match{}, false
	}
	var found []*Image
	for _, name := range Names(f.g.Kernel) {
		sum, id, err := f.x.ask(f.ctx, name)
		if err != nil {
			if name == f.g.Kernel {
				f.why = append(f.why, fmt.Sprintf("its kernel file cannot be used: %v", err))
			}
			continue
		}
		if name == f.g.Kernel {
			f.kernel = sum
		}
		var im *Image
		if sum.Hash == "" {
			im = f.now.holds(f.ctx, looseFile{path: name, id: id, sum: sum})
		} else {
			im = f.now.byHash[sum.Hash]
		}
		if im == nil && sum.Hash != "" {
			// Not in the index, but as good.
			im = &Image{Hash: sum.Hash}
		} else if im == nil {
			continue
		}
		own := *im
		own.Files = slices.Clone(im.Files)
		own.add(File{Path: name, Form: sum.Form, Debug: sum.Debug}, sum)
		own.finish()
		found = append(found, &own)
	}
	// One with debug information is worth more than one without.
	slices.SortStableFunc(found, func(a, b *Image) int { return boolFirst(a.Debug == "", b.Debug == "") })
	for _, im := range found {
		if f.g.Memory == nil {
			return Match{Hash: im.Hash, Debug: im.Debug, Kernel: im.Kernel, How: "by its kernel file " + f.g.Kernel + "; its memory cannot be read, so nothing proves it"}, true
		}
		if m, ok := f.prove(im, "by its kernel file "+f.g.Kernel, f.slides(im)...); ok || f.err != nil {
			return m, ok
		}
	}
	return Match{}, false
}

// byMemory finds candidates by pages the guest holds.
func (f *finder) byMemory() (Match, bool) {
	firsts := f.now.firsts
	if m, ok := f.at(firsts); ok || f.err != nil {
		return m, ok
	}
	if m, ok := f.at(slid(firsts[:min(len(firsts), 8)])); ok || f.err != nil {
		return m, ok
	}
	var rest []uint64
	for _, im := range f.now.images {
		for _, p := range im.pages[min(1, len(im.pages)):] {
			rest = append(rest, p.Addr)
		}
	}
	slices.Sort(rest)
	return f.at(slices.Compact(rest))
}

// slid are where addresses can be moved to.
func slid(addrs []uint64) (out []uint64) {
	for k := uint64(1); k <= maxSlides; k++ {
		for _, a := range addrs {
			out = append(out, a+k*slideStep, a-k*slideStep)
		}
	}
	return out
}

// slides are where the guest may have loaded an image: where it has pages of it, not
// moved, or moved as far as loaders do.
func (f *finder) slides(im *Image) []uint64 {
	if f.g.Memory == nil || f.count(im, 0) > 0 || len(im.pages) == 0 {
		return []uint64{0}
	}
	addrs := slid([]uint64{im.pages[0].Addr})
	for i, b := range f.read(addrs) {
		if b != nil && pageKey(b) == im.pages[0].Key {
			return []uint64{addrs[i] - im.pages[0].Addr}
		}
	}
	return nil
}

// at looks for images of which the guest has a page at one of the addresses.
func (f *finder) at(addrs []uint64) (Match, bool) {
	const batch = 64
	for len(addrs) > 0 && f.err == nil && f.places < maxPlaces {
		part := addrs[:min(batch, len(addrs))]
		addrs = addrs[len(part):]
		f.places += len(part)
		found := f.candidates(part)
		for _, c := range found {
			if m, ok := f.prove(c.im, fmt.Sprintf("by a page of its code at %#x", c.at), c.slide); ok || f.err != nil {
				return m, ok
			}
		}
	}
	return Match{}, false
}

// candidate is an image of which the guest has pages.
type candidate struct {
	im        *Image
	at, slide uint64
	pages     int // of its pages that are there
}

// candidates lists the images of which a page is at one of the addresses, those with
// the most pages first.
func (f *finder) candidates(addrs []uint64) []candidate {
	var out []candidate
	for i, b := range f.read(addrs) {
		if b == nil {
			continue
		}
		key := pageKey(b)
		for _, im := range f.now.byPage[key] {
			for _, p := range im.pages {
				if p.Key == key && !f.tried[im.Hash] {
					slide := addrs[i] - p.Addr
					out = append(out, candidate{im, addrs[i], slide, f.count(im, slide)})
					break
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		return cmp.Or(b.pages-a.pages, boolFirst(a.im.Debug == "", b.im.Debug == ""))
	})
	return out
}

// count tells how many of an image's pages the guest has with a slide.
func (f *finder) count(im *Image, slide uint64) (n int) {
	addrs := make([]uint64, len(im.pages))
	for i, p := range im.pages {
		addrs[i] = p.Addr + slide
	}
	for i, b := range f.read(addrs) {
		if b != nil && pageKey(b) == im.pages[i].Key {
			n++
		}
	}
	return n
}

// read reads pages, nil where one is not there.
func (f *finder) read(addrs []uint64) [][]byte {
	buf := make([]byte, len(addrs)*pageSize)
	ranges := make([]target.Range, len(addrs))
	for i, a := range addrs {
		ranges[i] = target.Range{Addr: a, Data: buf[i*pageSize : (i+1)*pageSize]}
	}
	out := make([][]byte, len(addrs))
	if err := target.ReadMany(f.ctx, f.g.Memory, ranges); err != nil {
		f.end(err)
		return out
	}
	for i, r := range ranges {
		if r.N == pageSize {
			out[i] = r.Data
		}
	}
	return out
}

// end keeps an error that ends the search.
func (f *finder) end(err error) bool {
	if f.err == nil && (errors.Is(err, target.ErrLost) || f.ctx.Err() != nil) {
		f.err = cmp.Or(f.ctx.Err(), fmt.Errorf("reading the guest's memory: %w", err))
	}
	return f.err != nil
}

// prove compares an image with the guest in full, where it was found to lie; without
// a slide, where the guest's hints point.
func (f *finder) prove(im *Image, how string, slide ...uint64) (Match, bool) {
	path := cmp.Or(im.Debug, im.plain())
	if f.tried[im.Hash] || path == "" {
		return Match{}, false
	}
	if f.proofs++; f.proofs > maxProofs {
		f.skipped = true
		return Match{}, false
	}
	f.tried[im.Hash] = true
	id, at, err := f.compare(path, im.Hash, slide)
	if err != nil {
		if !f.end(err) {
			f.why = append(f.why, err.Error())
		}
		return Match{}, false
	}
	if !id.Match {
		f.why = append(f.why, fmt.Sprintf("%s: %s", path, id))
		return Match{}, false
	}
	text := fmt.Sprintf("%s; proved by %d bytes of its memory", how, id.Compared)
	if id.Unreadable > 0 {
		text += fmt.Sprintf(", %d could not be read", id.Unreadable)
	}
	return Match{Hash: im.Hash, Debug: im.Debug, Kernel: im.Kernel, Proved: true, Slide: at, How: text}, true
}

// plain is a file of the image without debug information that names can be looked up
// in.
func (im *Image) plain() string {
	for _, file := range im.Files {
		if file.Form == ELF && !file.Archive {
			return file.Path
		}
	}
	return ""
}

// compare compares the file at path, which ought to have the hash, with the guest.
func (f *finder) compare(path, hash string, slides []uint64) (id symbolizer.Identity, slide uint64, err error) {
	im, err := symbolizer.OpenWith(f.ctx, path, symbolizer.OpenOptions{Stripped: true})
	if err != nil {
		return id, 0, err
	}
	defer im.Close()
	if im.ContentHash() != hash {
		return id, 0, fmt.Errorf("%s changed since it was looked at", path)
	}
	if len(slides) > 0 {
		slide = slides[0]
	} else if slide, err = symbolizer.FindSlide(f.ctx, f.g.Memory, im, f.g.Hints...); err != nil {
		return id, 0, err
	}
	id, err = symbolizer.Prove(f.ctx, f.g.Memory, symbolizer.Mapping{Image: im, Slide: slide}, symbolizer.ProveOptions{Full: true})
	return id, slide, err
}

// ask is what is known of a kernel file, which need not be in a folder of the index.
func (x *Index) ask(ctx context.Context, path string) (*summary, fileID, error) {
	file, id, err := openRegular(path)
	if err != nil {
		return nil, id, err
	}
	file.Close()
	x.askedMu.Lock()
	k, ok := x.asked[path]
	x.askedMu.Unlock()
	if !ok || k.id != id {
		k.sum, k.id, err = summariseFile(ctx, path)
		if err != nil && !errors.Is(err, errNoImage) {
			return nil, id, err
		}
		x.askedMu.Lock()
		if len(x.asked) >= maxAsked {
			clear(x.asked)
		}
		x.asked[path] = k
		x.askedMu.Unlock()
	}
	if k.sum == nil {
		return nil, id, fmt.Errorf("%s: %w", path, errNoImage)
	}
	return k.sum, k.id, nil
}

// maxAsked bounds the kernel files that are remembered.
const maxAsked = 4096
