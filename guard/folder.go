package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// A folder holds one attachment: the journal, and the guard's log if it had
// something to say. The folder is locked (flock) by client and guard, which
// share one open file: it is free when both are gone.
type folder struct {
	path string
	lock *os.File
}

func guardDir(state string) string { return filepath.Join(state, "guard") }

func (f folder) journal() string { return filepath.Join(f.path, "journal") }
func (f folder) log() string     { return filepath.Join(f.path, "log") }

// newFolder makes and locks a folder.
func newFolder(state string) (folder, error) {
	dir := guardDir(state)
	name := filepath.Join(dir, strconv.FormatInt(time.Now().UnixNano(), 36)+"-"+strconv.Itoa(os.Getpid()))
	err := os.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = os.Mkdir(name, 0o700)
		}
	}
	if err != nil {
		return folder{}, fmt.Errorf("the guard's journal needs a folder: %w; set XDG_STATE_HOME to one that can be written", err)
	}
	f := folder{path: name}
	if f.lock, err = os.Open(name); err == nil {
		// Somebody looking for work may hold it for a moment.
		if err = lock(f.lock); err == nil {
			return f, nil
		}
		f.lock.Close()
	}
	return folder{}, fmt.Errorf("the guard's folder: %w", err)
}

// remove ends a folder whose work is done.
func (f folder) remove() {
	_ = os.RemoveAll(f.path) // what is left is tidied up by the next who looks
	if f.lock != nil {
		f.lock.Close()
	}
}

// tidyAfter is how old a folder without a journal is when it counts as one
// whose maker died.
const tidyAfter = time.Minute

// workPatience is how long a guard that is at work is waited for.
const workPatience = 2 * time.Second

// lockOrphan locks a folder whose client and guard are both gone. A guard whose
// client is gone is at work, and waited for; mine chooses which.
func (f folder) lockOrphan(mine func(*journal.State) bool) bool {
	for deadline := time.Now().Add(workPatience); ; time.Sleep(2 * time.Millisecond) {
		if tryLock(f.lock) == nil {
			return true
		}
		st, err := journal.Load(f.journal())
		if err != nil || st.Left || !mine(st) || alive(st.Client) || time.Now().After(deadline) {
			return false
		}
	}
}

// orphans locks and returns the folders whose client and guard are both gone,
// of those that mine accepts.
func orphans(state string, mine func(*journal.State) bool) []folder {
	entries, err := os.ReadDir(guardDir(state))
	if err != nil {
		return nil // nobody was ever attached
	}
	var out []folder
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		f := folder{path: filepath.Join(guardDir(state), e.Name())}
		if f.lock, err = os.Open(f.path); err != nil {
			continue // gone meanwhile
		}
		if !f.lockOrphan(mine) {
			f.lock.Close() // they live, or are none of ours
			continue
		}
		if _, err := os.Stat(f.journal()); err == nil {
			out = append(out, f)
			continue
		}
		if st, err := f.lock.Stat(); err == nil && time.Since(st.ModTime()) > tidyAfter {
			f.remove()
			continue
		}
		f.lock.Close()
	}
	return out
}
