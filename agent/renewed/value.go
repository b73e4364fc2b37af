package renewed

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// again is how long after a failure the files are read again that look the same:
// somebody may have changed who may read them.
const again = time.Second

// Value is what was made of files. It is safe for concurrent use.
type Value[T any] struct {
	paths []string
	read  func() (T, error)

	mu    sync.Mutex
	stamp string // of the files when they were last read
	tried time.Time
	have  bool
	last  T
	err   error // of the last reading
	news  string
}

// Read makes a value of files with read, which is called again when one of them
// changes. Where the first reading fails there is no value yet: the error says why, and
// the value may be used all the same.
func Read[T any](read func() (T, error), paths ...string) (*Value[T], error) {
	v := &Value[T]{read: read, paths: paths}
	_, err := v.Get()
	return v, err
}

// Get returns what is in force. It is an error only as long as the files could never be
// read.
func (v *Value[T]) Get() (T, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.look()
	if !v.have {
		return v.last, v.err
	}
	return v.last, nil
}

// News looks at the files and tells what became of them since it was called last, ""
// for nothing new.
func (v *Value[T]) News() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.look()
	news := v.news
	v.news = ""
	return news
}

// Failing is why the files as they are now are not in force, nil if they are.
func (v *Value[T]) Failing() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		return nil
	}
	return v.failure()
}

func (v *Value[T]) failure() error {
	if v.have {
		return fmt.Errorf("%s: %w; what was in force stays", v.names(), v.err)
	}
	return fmt.Errorf("%s: %w", v.names(), v.err)
}

func (v *Value[T]) names() string { return strings.Join(v.paths, " and ") }

// look reads the files if they have changed.
func (v *Value[T]) look() {
	// Before they are read: what changes meanwhile is read the next time.
	stamp := ""
	for _, p := range v.paths {
		stamp += Stamp(p) + "\n"
	}
	if stamp == v.stamp && !v.tried.IsZero() && (v.err == nil || time.Since(v.tried) < again) {
		return
	}
	is, err := v.read()
	was := v.err
	v.stamp, v.tried, v.err = stamp, time.Now(), err
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		v.news = v.failure().Error()
	case err == nil && (v.have || was != nil):
		v.news = v.names() + ": read again, and in force"
	}
	if err == nil {
		v.last, v.have = is, true
	}
}

// Stamp tells one state of a file from another; "" has one alone.
func Stamp(path string) string {
	if path == "" {
		return ""
	}
	st, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	n, _ := inode.Of(st)
	return fmt.Sprint(st.ModTime().UnixNano(), " ", st.Size(), " ", n.Ino)
}
