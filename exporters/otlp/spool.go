package otlp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrSpoolFull says that a spool has no room for a batch.
var ErrSpoolFull = errors.New("the spool is full")

// ErrSpoolInUse says that another process sends from the spool.
var ErrSpoolInUse = errors.New("the spool is in use")

// DefaultSpoolBytes is the most a spool holds if nothing else is said.
const DefaultSpoolBytes = 1 << 30

// Spool is a folder that keeps batches until a receiver has taken them. One
// process uses it at a time; what it leaves the next one sends.
//
// A batch is a file: "UKSP", a u32 CRC-32 of what follows, a u32 number of
// spans, the u64 length of the request, and the request; integers are
// little-endian. Its name is a number that grows, and ".otlp".
type Spool struct {
	dir    string
	limit  int64
	unlock func() error
	queue  []spooled // oldest first
	bytes  int64
	next   uint64
}

// spooled is a batch that waits.
type spooled struct {
	number uint64
	size   int64
	// earlier: it was there when the spool was opened.
	earlier bool
}

const (
	spoolMagic  = "UKSP"
	spoolHeader = 20
	spoolSuffix = ".otlp"
)

// OpenSpool opens the folder, making it if need be, for at most limit bytes,
// DefaultSpoolBytes if 0. Close it.
func OpenSpool(dir string, limit int64) (*Spool, error) {
	if limit <= 0 {
		limit = DefaultSpoolBytes
	}
	s := &Spool{dir: dir, limit: limit}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var err error
	if s.unlock, err = lockFolder(filepath.Join(dir, "lock")); err != nil {
		return nil, fmt.Errorf("spool %s: %w", dir, err)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("spool: %w", err), s.unlock())
	}
	return s, nil
}

// Close gives the folder to others; what waits in it stays.
func (s *Spool) Close() error { return s.unlock() }

// Waiting returns how many batches wait, and their bytes.
func (s *Spool) Waiting() (batches int, bytes int64) { return len(s.queue), s.bytes }

// load finds what an earlier process left.
func (s *Spool) load() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), spoolSuffix)
		number, err := strconv.ParseUint(base, 10, 64)
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
		s.queue = append(s.queue, spooled{number, info.Size(), true})
		s.bytes += info.Size()
		s.next = max(s.next, number+1)
	}
	slices.SortFunc(s.queue, func(a, b spooled) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return nil
}

func (s *Spool) path(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%020d%s", number, spoolSuffix))
}

// add keeps a request of n spans. It is whole in the folder or not at all.
func (s *Spool) add(request []byte, n int) error {
	size := int64(spoolHeader + len(request))
	if s.bytes+size > s.limit {
		return ErrSpoolFull
	}
	b := make([]byte, 8, size)
	copy(b, spoolMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(request)))
	b = append(b, request...)
	binary.LittleEndian.PutUint32(b[4:], crc32.ChecksumIEEE(b[8:]))
	temp := filepath.Join(s.dir, "unfinished")
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := os.Rename(temp, s.path(s.next)); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.queue = append(s.queue, spooled{s.next, size, false})
	s.bytes += size
	s.next++
	return nil
}

// maxSpooled bounds one file; batches are smaller than what gRPC takes.
const maxSpooled = 64 << 20

// errDamaged says that a spooled file is not what was written.
var errDamaged = errors.New("damaged")

// oldest reads the batch that is next.
func (s *Spool) oldest() (request []byte, n int, err error) {
	q := s.queue[0]
	if q.size > maxSpooled {
		return nil, 0, errDamaged
	}
	b, err := os.ReadFile(s.path(q.number))
	if err != nil {
		return nil, 0, fmt.Errorf("spool: %w", err)
	}
	if len(b) < spoolHeader || string(b[:4]) != spoolMagic || binary.LittleEndian.Uint32(b[4:]) != crc32.ChecksumIEEE(b[8:]) ||
		binary.LittleEndian.Uint64(b[12:]) != uint64(len(b)-spoolHeader) {
		return nil, 0, errDamaged
	}
	return b[spoolHeader:], int(binary.LittleEndian.Uint32(b[8:])), nil
}

// done forgets the oldest batch.
func (s *Spool) done() error {
	if err := os.Remove(s.path(s.queue[0].number)); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.forget()
	return nil
}

// setAside keeps the oldest batch for a person under another name, as nobody
// takes it.
func (s *Spool) setAside(why string) (name string, err error) {
	from := s.path(s.queue[0].number)
	name = from + "." + why
	if err := os.Rename(from, name); err != nil {
		return "", fmt.Errorf("spool: %w", err)
	}
	s.forget()
	return name, nil
}

func (s *Spool) forget() {
	s.bytes -= s.queue[0].size
	s.queue = s.queue[1:]
}
