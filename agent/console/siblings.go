package console

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// settle is how long a folder must look the same to be believed: a rotation
	// moves several files, one after the other.
	settle   = 5 * time.Millisecond
	attempts = 10
)

// siblings lists the rotated files.
func (f *Follower) siblings() []sibling {
	list := siblings(f.opt.Source.Path, f.owner)
	for range attempts {
		time.Sleep(settle)
		again := siblings(f.opt.Source.Path, f.owner)
		same := slices.EqualFunc(list, again, func(a, b sibling) bool { return a.path == b.path && a.id == b.id && a.size == b.size })
		if list = again; same {
			break
		}
	}
	return list
}

// search looks for the file that has a place: the one it was in, by whatever
// name it has now, else a copy. It returns nil if there is none.
func (f *Follower) search(at *place) *part {
	for range attempts {
		p, err := f.searchIn(f.siblings(), at)
		if !errors.Is(err, errMoved) {
			return p
		}
	}
	return nil
}

func (f *Follower) searchIn(list []sibling, at *place) (*part, error) {
	slices.SortStableFunc(list, func(a, b sibling) int { return rank(&a, at) - rank(&b, at) })
	for i := range list {
		s := &list[i]
		// The file itself, or one written since that has the bytes before the
		// place.
		if s.id != at.File && (at.TailSize == 0 || s.mtime.Before(at.Written)) {
			continue
		}
		p, err := f.open(s)
		if errors.Is(err, errMoved) {
			return nil, err
		}
		if err != nil {
			continue
		}
		before := f.unpacked
		holds := p.holds(at)
		f.bytes.take(float64(f.unpacked - before)) // it cost as much as reading
		if holds {
			return p, nil
		}
		p.close()
	}
	return nil, nil
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
// have not been read: the log was rotated more than once meanwhile. not are files
// that are being read.
func (f *Follower) unread(since time.Time, not ...fileID) (parts []*part) {
	for range attempts {
		var moved bool
		if parts, moved = f.unreadIn(f.siblings(), since, not); !moved {
			break
		}
		closeAll(parts)
		parts = nil
	}
	return parts
}

func (f *Follower) unreadIn(list []sibling, since time.Time, not []fileID) (parts []*part, moved bool) {
	for i := range list {
		s := &list[i]
		if s.mtime.Before(since) || slices.Contains(not, s.id) || f.knows(s) {
			continue
		}
		if s.compressed() && slices.ContainsFunc(list, func(o sibling) bool { return o.path == strings.TrimSuffix(s.path, gzSuffix) }) {
			continue // it is being compressed
		}
		p, err := f.open(s)
		if errors.Is(err, errMoved) {
			return parts, true
		}
		if err != nil {
			continue
		}
		if p.gz == nil && copies(p, f.opt.Source.Path) {
			p.close()
			continue
		}
		parts = append(parts, p)
	}
	return parts, false
}

// sampleSize is how many bytes at a file's beginning and at its end are compared.
const sampleSize = 4 << 10

// copying is how long after the last write to a copy the log may still be about
// to be truncated.
const copying = 5 * time.Second

// copies reports whether a file is a copy of what the log is now, whole or being
// made, in order to truncate the log: its text is read from the log, or looked for
// when that is truncated.
func copies(p *part, path string) bool {
	st, err := stateOf(p.f)
	if err != nil || st.size == 0 {
		return true // just made, and nothing to read in any case
	}
	if time.Since(st.mtime) > copying {
		return false
	}
	f, now, err := openLog(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if now.size < st.size {
		return false // a copy has no more than there is
	}
	n := min(st.size, sampleSize)
	return same(p.f, f, 0, n) && same(p.f, f, st.size-n, n)
}

// same reports whether two files have the same n bytes at an offset.
func same(a, b *os.File, off, n int64) bool {
	var bufs [2][sampleSize]byte
	for i, f := range []*os.File{a, b} {
		if got, _ := f.ReadAt(bufs[i][:n], off); int64(got) != n {
			return false
		}
	}
	return bytes.Equal(bufs[0][:n], bufs[1][:n])
}

// knownFile is a rotated file that is not to be read, or has been, as that
// generation of the log.
type knownFile struct {
	name string
	gen  uint64
}

// knows reports whether a file has been read, as it is or before it was
// compressed.
func (f *Follower) knows(s *sibling) bool {
	same, plain := s.name(), ""
	if s.compressed() {
		// gzip(1) leaves the time of the last write as it was, and the size, modulo
		// 2^32, in the last four bytes (RFC 1952, 2.3.1).
		if size, ok := unpackedSize(s.path); ok {
			plain = fmt.Sprintf(":%d:%d", size, s.mtime.UnixNano())
		}
	}
	return slices.ContainsFunc(f.known, func(k knownFile) bool {
		return k.name == same || plain != "" && strings.HasSuffix(k.name, plain)
	})
}

func unpackedSize(path string) (uint32, bool) {
	f, st, err := openLog(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], max(0, st.size-4)); err != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[:]), true
}

// know remembers a rotated file as read.
func (f *Follower) know(name string, gen uint64) {
	if slices.ContainsFunc(f.known, func(k knownFile) bool { return k.name == name }) {
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
