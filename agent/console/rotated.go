package console

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	slices.SortFunc(out, func(a, b sibling) int {
		if c := a.mtime.Compare(b.mtime); c != 0 {
			return c
		}
		// Rotated in one instant: console.log.2 is older than console.log.1, and a
		// date than a later one.
		if c := cmp.Compare(b.number(), a.number()); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	return out
}

// number is N of console.log.N, 0 if it has another name.
func (s *sibling) number() int {
	name := strings.TrimSuffix(s.path, gzSuffix)
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
	if err != nil {
		return 0
	}
	return n
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
	middle, ok = strings.CutSuffix(strings.TrimSuffix(middle, gzSuffix), ext)
	digits := strings.Count(strings.Map(digit, middle), "0")
	return ok && digits >= len("20261122") && strings.Trim(strings.Map(digit, middle), "0-_.") == ""
}

const gzSuffix = ".gz"

// digit makes every digit a 0.
func digit(r rune) rune {
	if r >= '0' && r <= '9' {
		return '0'
	}
	return r
}

func (s *sibling) compressed() bool { return strings.HasSuffix(s.path, gzSuffix) }

// errMoved says that a file is not where it was listed any more.
var errMoved = errors.New("a rotated file was moved")

// open makes a part of a rotated file.
func (f *Follower) open(s *sibling) (*part, error) {
	file, st, err := openLog(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	if st.id != s.id {
		file.Close()
		return nil, errMoved
	}
	p := &part{f: file, id: st.id, seen: st.mtime}
	if s.compressed() {
		if err := f.unpack(p); err != nil {
			file.Close()
			return nil, err
		}
	}
	return p, nil
}
