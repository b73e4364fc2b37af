package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

var (
	// ErrFull says that the spool may not hold so much.
	ErrFull = errors.New("the spool is full")
	// ErrInUse says that another process uses the spool.
	ErrInUse = errors.New("the spool is in use")
	// ErrDamaged says that a file is not what was written.
	ErrDamaged = errors.New("the spooled batch is damaged")
)

// DefaultBytes is the most a spool holds if nothing else is said.
const DefaultBytes = 1 << 30

// Number names a batch. A batch that came later has a higher one.
type Number uint64

// Batch is what is kept.
type Batch struct {
	// Kind is a number that means something to the user alone.
	Kind uint32
	// Items is how many things the payload holds.
	Items   int
	Payload []byte
}

const (
	suffix = ".batch"
	// unfinished is the name of a file that is being written.
	unfinished = "unfinished"
)

// Spool is a folder of batches. It is safe for concurrent use.
type Spool struct {
	dir   string
	limit int64

	mu     sync.Mutex
	unlock func() error // nil while it is not open
	why    error        // that it is not
	size   map[Number]int64
	bytes  int64
	aside  []asideFile // oldest first
	next   Number
}

// asideFile is a batch that is kept for a person to look at.
type asideFile struct {
	name string
	size int64
}

// block is what the disk gives out at a time: of many small batches that counts, not
// their bytes.
const block = 4096

// room is what a file of that size takes up.
func room(size int64) int64 { return (size + block - 1) / block * block }

// Open opens the folder, making it if need be, for at most limit bytes of the disk,
// DefaultBytes if 0. Close it.
func Open(dir string, limit int64) (*Spool, error) {
	if limit <= 0 {
		limit = DefaultBytes
	}
	s := &Spool{dir: dir, limit: limit, size: map[Number]int64{}}
	if s.open(); s.why != nil {
		return nil, s.why
	}
	return s, nil
}

// OpenLater is Open, but a disk that has no room to make the folder is no error: it is
// tried again with each Add, which fails until then. Pending tells.
func OpenLater(dir string, limit int64) (*Spool, error) {
	s, err := Open(dir, limit)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return s, err
	}
	if limit <= 0 {
		limit = DefaultBytes
	}
	return &Spool{dir: dir, limit: limit, size: map[Number]int64{}, why: err}, nil
}

// Pending is why the folder could not be made yet, nil if it could.
func (s *Spool) Pending() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// open makes the folder and takes it.
func (s *Spool) open() {
	if s.why = os.MkdirAll(s.dir, 0o700); s.why != nil {
		s.why = fmt.Errorf("spool: %w", s.why)
		return
	}
	unlock, err := lockFolder(filepath.Join(s.dir, "lock"))
	if err != nil {
		s.why = fmt.Errorf("spool %s: %w", s.dir, err)
		return
	}
	if err := s.load(); err != nil {
		s.why = errors.Join(fmt.Errorf("spool: %w", err), unlock())
		return
	}
	s.unlock = unlock
}

// Close gives the folder to others; what waits in it stays.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unlock == nil {
		return nil // it never was ours
	}
	return s.unlock()
}

// Dir is the folder.
func (s *Spool) Dir() string { return s.dir }

// SetLimit changes how many bytes of the disk it may take up.
func (s *Spool) SetLimit(limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
}

// Kept returns what is there, oldest first.
func (s *Spool) Kept() []Number {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.size))
}

// Waiting returns how many batches wait, and the bytes of the disk they take up.
func (s *Spool) Waiting() (batches int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.size), s.bytes
}

// load finds what an earlier process left.
func (s *Spool) load() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, rest, ok := strings.Cut(e.Name(), suffix)
		number, err := strconv.ParseUint(base, 10, 63)
		if !ok || err != nil || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		n := Number(number)
		s.next = max(s.next, n+1)
		if rest != "" {
			s.aside = append(s.aside, asideFile{e.Name(), room(info.Size())})
			continue
		}
		s.size[n] = room(info.Size())
		s.bytes += s.size[n]
	}
	return nil
}

func (s *Spool) path(n Number) string {
	return filepath.Join(s.dir, fmt.Sprintf("%020d%s", n, suffix))
}

// Add keeps a batch. It returns ErrFull (errors.Is) when the limit is reached,
// and what the system says when the disk is full or broken.
func (s *Spool) Add(b Batch) (Number, error) {
	size := room(int64(headerSize + len(b.Payload)))
	if len(b.Payload) > maxPayload {
		return 0, fmt.Errorf("spool: a batch of %d bytes, at most %d are kept in one file", len(b.Payload), maxPayload)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unlock == nil {
		if s.open(); s.why != nil {
			return 0, s.why
		}
	}
	if s.bytes+size > s.limit {
		return 0, ErrFull
	}
	s.makeRoom(size)
	temp := filepath.Join(s.dir, unfinished)
	err := os.WriteFile(temp, encode(b), 0o600)
	if err == nil {
		err = os.Rename(temp, s.path(s.next))
	}
	if err != nil {
		_ = os.Remove(temp) // what was written takes up what little room there is
		return 0, fmt.Errorf("spool: %w", err)
	}
	n := s.next
	s.next++
	s.size[n] = size
	s.bytes += size
	return n, nil
}

// makeRoom removes what was set aside, oldest first, until size bytes fit: what
// waits matters more than what nobody took.
func (s *Spool) makeRoom(size int64) {
	all := s.bytes + size
	for _, a := range s.aside {
		all += a.size
	}
	for all > s.limit && len(s.aside) > 0 {
		_ = os.Remove(filepath.Join(s.dir, s.aside[0].name))
		all -= s.aside[0].size
		s.aside = s.aside[1:]
	}
}

// Read returns a batch, or ErrDamaged (errors.Is).
func (s *Spool) Read(n Number) (Batch, error) {
	s.mu.Lock()
	size := s.size[n]
	s.mu.Unlock()
	if size > room(headerSize+maxPayload) {
		return Batch{}, ErrDamaged
	}
	data, err := os.ReadFile(s.path(n))
	if err != nil {
		return Batch{}, fmt.Errorf("spool: %w", err)
	}
	return decode(data)
}

// Remove forgets a batch that was taken.
func (s *Spool) Remove(n Number) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Remove(s.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: %w", err)
	}
	s.forget(n)
	return nil
}

// SetAside keeps a batch for a person under another name, which it returns, as
// nobody takes it. It goes when its room is needed.
func (s *Spool) SetAside(n Number, why string) (name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.path(n)
	name = filepath.Base(from) + "." + why
	if err := os.Rename(from, filepath.Join(s.dir, name)); err != nil {
		return "", fmt.Errorf("spool: %w", err)
	}
	s.aside = append(s.aside, asideFile{name, s.size[n]})
	s.forget(n)
	return name, nil
}

func (s *Spool) forget(n Number) {
	s.bytes -= s.size[n]
	delete(s.size, n)
}
