package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/loaded"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
)

// guestImages are the images the guest loaded itself: an application, its dynamic
// loader and libraries.
type guestImages struct {
	files   *loaded.Files
	all     []*guestImage
	notes   []string
	maps    symbolizer.Mappings // of those with a file
	epoch   uint64              // in which they were looked for last
	unwinds unwind.Options
	// shared are those that Options.Images has open.
	shared map[*symbolizer.Image]*openedImage
}

// guestImage is one of them.
type guestImage struct {
	loaded.Object
	file   *symbolizer.Image // nil if missing says why
	opened *openedImage      // of the file
	// missing is a *loaded.MissingError.
	missing error
}

func (g *guestImage) mapping() symbolizer.Mapping {
	return symbolizer.Mapping{Image: g.file, Slide: g.Slide}
}

// programs is the optional power of a kernel to run programs that are in no image
// of its own.
type programs interface {
	LoadsPrograms() bool
	// Areas are the addresses at which areas of the address space begin.
	Areas(ctx context.Context) ([]uint64, error)
}

// lookForImages finds what the guest has loaded by now. Only errors of the link and
// of the context end it; what else is wrong is a note.
func (s *Session) lookForImages(ctx context.Context) error {
	p, ok := s.kernel.(programs)
	if !ok || !p.LoadsPrograms() || s.loads.epoch == s.epoch {
		return nil
	}
	s.loads.epoch = s.epoch
	if s.loads.files == nil {
		s.loads.files = s.newFiles()
		if s.opt.Initrd == "" {
			s.loads.files.Initrd = s.vmmInitrd(ctx)
		}
	}
	where := loaded.Where{Machine: s.arch.Machine}
	where.Areas, _ = p.Areas(ctx) // as far as they can be read
	var inKernel []uint64
	if list, err := s.kernel.Threads(ctx); err == nil {
		for _, t := range list.Threads {
			if t.RegsErr == nil && !t.New {
				if pc := t.Regs.PC(); !s.mapping.Contains(pc) {
					where.Code = append(where.Code, pc)
					where.Stacks = append(where.Stacks, t.Regs.SP())
				}
			}
			if t.Stack != 0 {
				inKernel = append(inKernel, t.Stack)
			}
		}
	}
	where.Stacks = append(where.Stacks, inKernel...)
	objects, notes, err := loaded.Find(ctx, s.mem, where)
	if err != nil {
		return fmt.Errorf("looking for what the guest loaded: %w", err)
	}
	return s.useImages(ctx, objects, notes)
}

// newFiles are where the guest's own images are looked for.
func (s *Session) newFiles() *loaded.Files {
	f := &loaded.Files{Apps: s.opt.Apps, Roots: s.opt.Roots, Initrd: s.opt.Initrd, Debug: s.opt.Debug}
	if s.opt.Images != nil {
		f.Share, f.Private = s.shareFile, privateDir(s.opt)
	}
	return f
}

// useImages opens the files of what was found; those that were open stay so.
func (s *Session) useImages(ctx context.Context, objects []loaded.Object, notes []string) error {
	before := s.loads.all
	s.loads.all, s.loads.notes, s.loads.maps = nil, notes, nil
	for _, o := range objects {
		g := &guestImage{Object: o}
		for _, b := range before {
			if b.Slide == o.Slide && b.Start == o.Start && b.BuildID == o.BuildID && b.Path == o.Path {
				g = b
			}
		}
		if g.file == nil && g.missing == nil {
			if err := s.openGuestImage(ctx, g); err != nil {
				return err
			}
		}
		s.loads.all = append(s.loads.all, g)
		if g.file != nil {
			s.loads.maps = append(s.loads.maps, g.mapping())
		}
	}
	s.unwinder = unwind.New(s.mappings(), s.loads.unwinds)
	return nil
}

func (s *Session) openGuestImage(ctx context.Context, g *guestImage) error {
	im, err := s.loads.files.Open(ctx, s.mem, g.Object)
	var missing *loaded.MissingError
	switch {
	case err == nil:
		g.file, g.opened = im, s.loads.shared[im]
		if g.opened == nil {
			im.UseCache(s.opt.CacheDir)
			g.opened = &openedImage{file: im}
		}
	case errors.As(err, &missing):
		g.missing = err
	default:
		return err
	}
	return nil
}

// mappings are those of all images with a file, the kernel's first.
func (s *Session) mappings() symbolizer.Mappings {
	return append(symbolizer.Mappings{s.mapping}, s.loads.maps...)
}

// mappingAt is the mapping of the image a run-time address is in; the kernel's
// where it is in none.
func (s *Session) mappingAt(addr uint64) symbolizer.Mapping {
	if len(s.loads.maps) > 0 && !s.mapping.Contains(addr) {
		if m, ok := s.loads.maps.Find(addr); ok {
			return m
		}
	}
	return s.mapping
}

// knowsImageAt reports whether an image was found at an address, with a file or
// without.
func (s *Session) knowsImageAt(addr uint64) bool {
	if s.mapping.Contains(addr) {
		return true
	}
	for _, g := range s.loads.all {
		if g.Contains(addr) {
			return true
		}
	}
	return false
}

// imageAt is the name of the image the guest loaded that an address is in, "" if
// none is known.
func (s *Session) imageAt(addr uint64) string {
	for _, g := range s.loads.all {
		if g.Contains(addr) {
			return g.name()
		}
	}
	return ""
}

// missingAt says which image without a file an address is in, "" if none.
func (s *Session) missingAt(addr uint64) string {
	for _, g := range s.loads.all {
		if g.missing != nil && g.Contains(addr) {
			return "in " + g.name() + ", of which there is no file"
		}
	}
	return ""
}

func (g *guestImage) name() string {
	switch {
	case g.Path != "":
		return g.Path
	case g.file != nil:
		return path.Base(g.file.Path)
	}
	return fmt.Sprintf("an image at %#x", g.Start)
}

// typesAt are the types of the image an address is in, and its slide.
func (s *Session) typesAt(addr uint64) (*ctype.Types, symbolizer.Mapping, error) {
	m := s.mappingAt(addr)
	switch {
	case m.Image == nil:
		return nil, m, ErrNoImage
	case m.Image == s.image:
		return s.types, m, s.typesErr
	}
	for _, g := range s.loads.all {
		if g.file == m.Image {
			types, err := g.typesOf()
			return types, m, err
		}
	}
	return nil, m, ErrNoImage
}

// typesOf are the types of its file, prepared when first asked for.
func (g *guestImage) typesOf() (*ctype.Types, error) { return g.opened.loadTypes() }

// shareFile opens an image of the guest's own for all sessions that share images.
func (s *Session) shareFile(ctx context.Context, file, member string, open func() (*symbolizer.Image, error)) (*symbolizer.Image, func() error, error) {
	id, err := identify(file, s.opt)
	if err != nil {
		return nil, nil, err
	}
	id.member = member
	im, done, err := s.opt.Images.acquire(ctx, id, func() (*openedImage, error) {
		im, err := open()
		if err != nil {
			return nil, err
		}
		im.UseCache(s.opt.CacheDir)
		return &openedImage{file: im}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if s.loads.shared == nil {
		s.loads.shared = map[*symbolizer.Image]*openedImage{}
	}
	s.loads.shared[im.file] = im
	return im.file, done, nil
}

// vmmInitrd is the initrd the guest's VMM was started with, "" if that cannot be
// told.
func (s *Session) vmmInitrd(ctx context.Context) string {
	p, ok := s.vmmProcess(ctx)
	if !ok {
		return ""
	}
	return p.Initrd
}

// ImagesText lists the images of the guest but its kernel, a line each.
func (s *Session) ImagesText() [][2]string {
	var out [][2]string
	for _, g := range s.loads.all {
		line := fmt.Sprintf("%#x-%#x", g.Start, g.Last)
		if g.missing != nil {
			line += ", " + g.missing.Error()
		} else {
			line += ", " + g.file.Path
			if id := g.BuildID; id != "" {
				line += ", build id " + id
			}
			switch err := g.file.NoDWARF(); {
			case g.file.DebugFile() != "":
				line += ", debug info in " + g.file.DebugFile()
			case err != nil:
				line += ", no debug info"
			}
		}
		line += ", " + g.How.String()
		out = append(out, [2]string{g.name(), line})
	}
	for _, n := range s.loads.notes {
		out = append(out, [2]string{"note", n})
	}
	return out
}

// MissingImages says, a line each, which images the guest loaded have no file, and
// where they were looked for. The text has the guest's own words, not escaped.
func (s *Session) MissingImages() []string {
	var out []string
	for _, g := range s.loads.all {
		if g.missing != nil {
			out = append(out, g.missing.Error())
		}
	}
	return out
}

// imagesBanner says in a line what was loaded, and in one each what is missing.
func (s *Session) imagesBanner() []string {
	var have, lines []string
	for _, g := range s.loads.all {
		if g.missing == nil {
			have = append(have, g.name())
		}
	}
	for _, text := range s.MissingImages() {
		lines = append(lines, "no names in "+text)
	}
	if len(have) > 0 {
		lines = append([]string{"loaded by the guest: " + strings.Join(have, ", ")}, lines...)
	}
	for i := range lines {
		lines[i] = escape(lines[i]) // paths are the guest's words
	}
	return lines
}

// closeImages closes what was opened for the guest's own images.
func (s *Session) closeImages() error {
	for _, g := range s.loads.all {
		if g.file != nil {
			_ = g.file.SaveCache() // the next attach is slower without it, no more
		}
	}
	if s.loads.files == nil {
		return nil
	}
	return s.loads.files.Close()
}
