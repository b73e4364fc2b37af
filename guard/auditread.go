package guard

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// auditLine is the longest line of the log that is read, in bytes.
const auditLine = 64 << 10

// ReadAudit calls fn with each entry of the audit log in the folder state,
// oldest first, the log before the present one included. A line that is none is
// passed over; no log at all has no entries.
func ReadAudit(state string, fn func(Entry)) error {
	for _, name := range []string{auditName + ".1", auditName} {
		if err := readLog(filepath.Join(state, name), fn); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func readLog(path string, fn func(Entry)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, auditLine)
	// The log is turned over at auditMax; more is not ours.
	for read := 0; read < 4*auditMax && s.Scan(); read += len(s.Bytes()) {
		var e Entry
		if json.Unmarshal(s.Bytes(), &e) == nil {
			fn(e)
		}
	}
	return s.Err()
}
