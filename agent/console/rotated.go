package console

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxSiblings bounds the files of a folder that are looked at.
const maxSiblings = 4096

// sibling is a file beside the log that may be a part of it.
type sibling struct {
	path string
	fileState
}

// name is a rotated file's identity: such a file does not change any more.
func (s *sibling) name() string {
	return fmt.Sprintf("%d:%d:%d:%d", s.id.Dev, s.id.Ino, s.size, s.mtime.UnixNano())
}

// siblings returns the files of the log's owner whose names are the log's with
// something behind it (console.log.1, console.log-20261122.gz) or with a date
// before its extension (console-20261122.log), as logrotate(8) makes them, in the
// order of their last writes. console-2.log is of somebody else.
func siblings(path string, owner uint32) []sibling {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxSiblings)
	base := filepath.Base(path)
	var out []sibling
	for _, n := range names {
		if !rotatedName(base, n) {
			continue
		}
		s := sibling{path: filepath.Join(filepath.Dir(path), n)}
		info, err := os.Lstat(s.path) // a link may lead anywhere
		if err != nil {
			continue
		}
		if s.fileState, err = fromInfo(info, s.path); err == nil && s.uid == owner {
			out = append(out, s)
		}
	}
	// Rotated in one instant, console.log.2 is older than console.log.1.
	slices.SortFunc(out, func(a, b sibling) int {
		if c := a.mtime.Compare(b.mtime); c != 0 {
			return c
		}
		if c := len(b.path) - len(a.path); c != 0 {
			return c
		}
		return strings.Compare(b.path, a.path)
	})
	return out
}

func rotatedName(base, name string) bool {
	if rest, ok := strings.CutPrefix(name, base); ok {
		return rest != "" && strings.ContainsRune(".-_~", rune(rest[0]))
	}
	ext := filepath.Ext(base)
	middle, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	if !ok || ext == "" || ext == base {
		return false
	}
	middle, ok = strings.CutSuffix(strings.TrimSuffix(middle, ".gz"), ext)
	digits := strings.Count(strings.Map(digit, middle), "0")
	return ok && digits >= len("20261122") && strings.Trim(strings.Map(digit, middle), "0-_.") == ""
}

// digit makes every digit a 0.
func digit(r rune) rune {
	if r >= '0' && r <= '9' {
		return '0'
	}
	return r
}

func (s *sibling) compressed() bool { return strings.HasSuffix(s.path, ".gz") }

// open makes a part of a rotated file.
func (s *sibling) open() (*part, error) {
	f, st, err := openLog(s.path)
	if err != nil {
		return nil, err
	}
	p := &part{f: f, id: st.id, seen: st.mtime, name: s.name()}
	if st.id != s.id {
		f.Close()
		return nil, fmt.Errorf("%s was replaced", s.path)
	}
	if s.compressed() {
		if err := p.unpack(); err != nil {
			f.Close()
			return nil, err
		}
	}
	return p, nil
}

// search looks for the file that has a place: the one it was in, by whatever
// name it has now, else a copy.
func (f *Follower) search(at *place, list []sibling) *part {
	order := slices.Clone(list)
	slices.SortStableFunc(order, func(a, b sibling) int { return rank(&a, at) - rank(&b, at) })
	for i := range order {
		s := &order[i]
		if at.TailSize == 0 && s.id != at.File {
			continue // nothing to know it by
		}
		if s.id != at.File && s.mtime.Before(at.Written) {
			continue
		}
		p, err := s.open()
		if err != nil {
			continue
		}
		if p.holds(at) {
			return p
		}
		p.close()
	}
	return nil
}

// rank puts the file itself first and compressed ones last.
func rank(s *sibling, at *place) int {
	switch {
	case s.id == at.File:
		return 0
	case s.compressed():
		return 2
	}
	return 1
}

// unread returns the rotated files that were written last at since or later and
// have not been read: the log was rotated more than once meanwhile.
func (f *Follower) unread(list []sibling, since time.Time, not ...fileID) (parts []*part) {
	for i := range list {
		s := &list[i]
		if s.mtime.Before(since) || slices.Contains(not, s.id) || f.knows(s.name()) {
			continue
		}
		if p, err := s.open(); err == nil {
			parts = append(parts, p)
		}
	}
	return parts
}

// knownFile is a rotated file that is not to be read, or has been, as that
// generation of the log.
type knownFile struct {
	name string
	gen  uint64
}

func (f *Follower) knows(name string) bool {
	return slices.ContainsFunc(f.known, func(k knownFile) bool { return k.name == name })
}

// know remembers a rotated file as read.
func (f *Follower) know(name string, gen uint64) {
	if f.knows(name) {
		return
	}
	if len(f.known) == maxKnown {
		f.known = slices.Delete(f.known, 0, 1)
	}
	f.known = append(f.known, knownFile{name, gen})
}

// knownBefore returns those that need not be read again by one who goes on within
// a generation.
func (f *Follower) knownBefore(gen uint64) (names []string) {
	for _, k := range f.known {
		if k.gen < gen {
			names = append(names, k.name)
		}
	}
	return names
}
