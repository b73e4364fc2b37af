package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// tailSize is how many bytes before a place identify it.
const tailSize = 1 << 10

// place is the point in a log before which every report was returned. It is what
// the state file holds, as JSON.
type place struct {
	// Lineage is random, drawn when the file was made: offsets and generations
	// are counted within it.
	Lineage string `json:"lineage"`
	Source  Source `json:"source"`
	// Generation counts the files the log has been, and truncations.
	Generation uint64 `json:"generation"`
	File       fileID `json:"file"`
	Offset     int64  `json:"offset"`
	// Tail is the SHA-256 of the TailSize bytes before Offset.
	Tail     string `json:"tail"`
	TailSize int    `json:"tail_size"`
	// Written is the time of the file's last write that was read.
	Written time.Time `json:"written"`
	// Known are rotated files that were read, or not to be.
	Known []string        `json:"known,omitempty"`
	Meta  json.RawMessage `json:"meta,omitempty"`
}

const (
	statePrefix = "console-"
	stateSuffix = ".json"
	maxState    = 64 << 10
	// maxKnown bounds the rotated files remembered.
	maxKnown = 64
)

// statePath is the file for a log's place.
func statePath(dir, path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(dir, statePrefix+hex.EncodeToString(sum[:12])+stateSuffix)
}

func newLineage() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// loadPlace reads a state file. One that is damaged is as none: reading begins
// at the beginning then.
func loadPlace(path string) (p place, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return place{}, false, err
	}
	if p, ok = decodePlace(b); !ok {
		return place{}, false, nil
	}
	return p, true, nil
}

func decodePlace(b []byte) (p place, ok bool) {
	err := json.Unmarshal(b, &p)
	sane := len(p.Lineage) == 16 && p.Offset >= 0 && p.TailSize >= 0 && p.TailSize <= tailSize && int64(p.TailSize) <= p.Offset && p.Source.Path != ""
	return p, err == nil && sane && len(p.Known) <= maxKnown && len(p.Meta) <= MaxMeta
}

// save replaces a state file. With sync it is on the disk when save returns, not
// only safe from this process's death.
func (p *place) save(path string, sync bool) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("keeping the place in a console: %w", err)
	}
	return os.Rename(tmp, path)
}

// maxPlaces bounds how many consoles are remembered in memory.
const maxPlaces = 4096

// Places remembers places in memory: several guests may write into one log, one after
// the other. It is safe for concurrent use.
type Places struct {
	mu sync.Mutex
	by map[string]place
}

func (m *Places) get(path string) (place, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.by[path]
	return p, ok
}

func (m *Places) put(p *place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[string]place{}
	}
	if _, there := m.by[p.Source.Path]; !there && len(m.by) >= maxPlaces {
		for path := range m.by {
			delete(m.by, path)
			break
		}
	}
	m.by[p.Source.Path] = *p
}

func (m *Places) forget(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.by, path)
}

// Remembered is a console that was followed before.
type Remembered struct {
	Source Source
	Meta   json.RawMessage
}

// How long the place in a log is kept that is gone, and in one that nobody writes
// any more.
const (
	keepGone = 24 * time.Hour
	keepOld  = 30 * 24 * time.Hour
)

// Recall lists the consoles whose places are kept in a folder and that may have more
// behind them: of guests that ended while nobody followed them, the rest can be read
// (Follow, End, Next until io.EOF). A place outlives its guest, as the next one may append to the same log;
// those of logs long gone or long silent are removed.
func Recall(dir string) ([]Remembered, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Remembered
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), statePrefix) || !strings.HasSuffix(e.Name(), stateSuffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		p, ok, err := loadPlace(path)
		if err != nil || !ok {
			continue
		}
		if info, err := e.Info(); err == nil && p.outlived(time.Since(info.ModTime())) {
			os.Remove(path) // else the next one does
			continue
		}
		if p.unread() {
			out = append(out, Remembered{p.Source, p.Meta})
		}
	}
	return out, nil
}

// unread reports whether there may be more behind the place.
func (p *place) unread() bool {
	st, err := statLog(p.Source.Path)
	return err != nil || st.id != p.File || st.size != p.Offset
}

// outlived reports whether a place of that age is of no use any more.
func (p *place) outlived(age time.Duration) bool {
	log, err := os.Stat(p.Source.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return age > keepGone
	}
	return err == nil && age > keepOld && time.Since(log.ModTime()) > keepOld
}
