package symbolizer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/internal/dwp"
)

// splitFiles are the files with split debug information of an image.
type splitFiles struct {
	packageOnce sync.Once
	pkg         *dwoPackage // nil if there is none

	mu      sync.Mutex
	open    []*Image // to be closed
	missing []error
}

// maxMissing bounds how many missing files are told.
const maxMissing = 16

// MissingSplit tells of the .dwo files that were wanted so far and could not be
// had, at most 16 of them: of their code only symbols and lines are known.
func (im *Image) MissingSplit() []error {
	im.splits.mu.Lock()
	defer im.splits.mu.Unlock()
	return slices.Clone(im.splits.missing)
}

// dwoPackage is a .dwp file.
type dwoPackage struct {
	file         *Image
	units, types *dwp.Index
}

// splitSections finds the .dwo file that a skeleton unit names, in the package
// file beside the image or as a file of its own.
func (im *Image) splitSections(want dies.SplitName) (*dies.Sections, error) {
	sec, err := im.findSplit(want)
	if err != nil {
		s := &im.splits
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.missing) < maxMissing {
			s.missing = append(s.missing, &dies.MissingSplitError{Name: want.Name, Err: err})
		}
	}
	return sec, err
}

func (im *Image) findSplit(want dies.SplitName) (*dies.Sections, error) {
	if !debugfile.Printable(want.Name) || !debugfile.Printable(want.Dir) {
		return nil, debugfile.ErrDamaged
	}
	s := &im.splits
	s.packageOnce.Do(func() { s.pkg = im.openPackage() })
	var tried []error
	if s.pkg != nil {
		sec, err := s.pkg.sections(want)
		if err == nil {
			return sec, nil
		}
		tried = append(tried, err)
	}
	for _, path := range im.splitPlaces(want) {
		f, err := openRegular(path)
		if err != nil {
			tried = append(tried, tryError(path, err))
			continue
		}
		s.mu.Lock()
		s.open = append(s.open, f)
		s.mu.Unlock()
		if f.machine != im.machine || f.bigEndian != im.bigEndian {
			tried = append(tried, fmt.Errorf("%s is for %s", path, f.machine))
			continue
		}
		sec := f.dwoSections()
		// The reader looks for the unit again; here it is about which file to take.
		if err := dies.HoldsSplit(sec, want); err != nil {
			tried = append(tried, fmt.Errorf("%s: %w", path, err))
			continue
		}
		return &sec, nil
	}
	return nil, fmt.Errorf("tried %w", joinTried(tried))
}

// tryError names the file an error is about, once.
func tryError(path string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s (not there)", path)
	}
	return err
}

// joinTried puts errors on one line.
func joinTried(errs []error) error {
	out := errs[0]
	for _, e := range errs[1:] {
		out = fmt.Errorf("%w, %w", out, e)
	}
	return out
}

// splitPlaces lists where a .dwo file can be: where the compiler put it, and
// beside the image, for builds that were moved.
func (im *Image) splitPlaces(want dies.SplitName) []string {
	folder := filepath.Dir(im.debugSide().Path)
	out := []string{filepath.Join(folder, want.Name), filepath.Join(folder, filepath.Base(want.Name))}
	if filepath.IsAbs(want.Name) {
		out[0] = want.Name
	} else if want.Dir != "" {
		out = append([]string{filepath.Join(want.Dir, want.Name)}, out...)
	}
	for i := len(out) - 1; i > 0; i-- {
		for _, before := range out[:i] {
			if out[i] == before {
				out = append(out[:i], out[i+1:]...)
				break
			}
		}
	}
	return out
}

// openRegular opens a file that may be a part of the debug information, but not
// what would make us wait, as a pipe does.
func openRegular(path string) (*Image, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &FormatError{path, "not a regular file"}
	}
	return openCandidate(path)
}

// openPackage opens the .dwp file beside the image or its debug file, nil if
// there is none that can be read.
func (im *Image) openPackage() *dwoPackage {
	var names []string
	for _, p := range []string{im.debugSide().Path, im.Path} {
		names = append(names, p+".dwp", strings.TrimSuffix(strings.TrimSuffix(p, ".debug"), ".dbg")+".dwp")
	}
	for _, name := range names {
		f, err := openRegular(name)
		if err != nil {
			continue
		}
		im.splits.mu.Lock()
		im.splits.open = append(im.splits.open, f)
		im.splits.mu.Unlock()
		units, err := dwp.Parse(f.Section(".debug_cu_index"), f.bigEndian)
		if err != nil || f.machine != im.machine || f.bigEndian != im.bigEndian {
			continue
		}
		p := &dwoPackage{file: f, units: units}
		if b := f.Section(".debug_tu_index"); len(b) > 0 {
			if p.types, err = dwp.Parse(b, f.bigEndian); err != nil {
				p.types = nil
			}
		}
		return p
	}
	return nil
}

// sections returns the part of one unit.
func (p *dwoPackage) sections(want dies.SplitName) (*dies.Sections, error) {
	part, ok := p.units.Find(want.ID)
	if !ok {
		return nil, fmt.Errorf("%s (its index has no unit of that number)", p.file.Path)
	}
	sec := p.cut(&part)
	if err := dies.HoldsSplit(sec, want); err != nil {
		return nil, fmt.Errorf("%s: %w", p.file.Path, err)
	}
	return &sec, nil
}

// splitTypes lists the type units in the package file.
func (im *Image) splitTypes() []uint64 {
	if p := im.splits.pkg; p != nil && p.types != nil {
		return p.types.IDs()
	}
	return nil
}

// splitTypeSections finds a type unit in the package file.
func (im *Image) splitTypeSections(signature uint64) *dies.Sections {
	if im.splits.pkg == nil {
		return nil
	}
	return im.splits.pkg.typeSections(signature)
}

// typeSections returns the part of a type unit, nil if the package has none of
// that signature.
func (p *dwoPackage) typeSections(signature uint64) *dies.Sections {
	if p.types == nil {
		return nil
	}
	part, ok := p.types.Find(signature)
	if !ok {
		return nil
	}
	sec := p.cut(&part)
	return &sec
}

// cut takes the parts of a unit out of the sections. A part that lies outside is
// as one that is not there: what needs it fails.
func (p *dwoPackage) cut(part *dwp.Part) dies.Sections {
	get := func(kind dwp.Kind, name string) []byte {
		b, err := part.Of(kind, p.file.Section(name))
		if err != nil {
			return nil
		}
		return b
	}
	return dies.Sections{
		Info: get(dwp.Info, ".debug_info.dwo"), Types: get(dwp.Types, ".debug_types.dwo"), Abbrev: get(dwp.Abbrev, ".debug_abbrev.dwo"),
		Line: get(dwp.Line, ".debug_line.dwo"), StrOffsets: get(dwp.StrOffsets, ".debug_str_offsets.dwo"),
		Str: p.file.Section(".debug_str.dwo"), Rnglists: get(dwp.Rnglists, ".debug_rnglists.dwo"),
		Loc:      func() []byte { return get(dwp.Loc, ".debug_loc.dwo") },
		Loclists: func() []byte { return get(dwp.Loclists, ".debug_loclists.dwo") },
	}
}

// dwoSections returns the sections of a .dwo file.
func (im *Image) dwoSections() dies.Sections {
	return dies.SectionsOf(func(name string) []byte { return im.joined(name + ".dwo") })
}

// joined returns the content of all sections of a name, one behind the other: in
// an object file, which a .dwo file is, each type unit has a section of its own.
func (im *Image) joined(name string) []byte {
	var out []byte
	n := 0
	for i := range im.sections {
		s := &im.sections[i]
		if s.Name != name {
			continue
		}
		b, err := s.decompress(im.bigEndian)
		if err != nil || len(b) == 0 {
			continue // what needs it says it is damaged
		}
		if n++; n == 1 {
			out = b
		} else {
			out = append(out[:len(out):len(out)], b...)
		}
	}
	return out
}

func (s *splitFiles) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, f := range s.open {
		err = errors.Join(err, f.Close())
	}
	s.open = nil
	return err
}
