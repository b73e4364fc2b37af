package guard

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// auditLine is the longest line of the log that is read, in bytes.
const auditLine = 64 << 10

// ReadAudit calls fn with each entry of the audit log in the folder state,
// oldest first, the log before the present one included. A line that is none, or longer
// than one can be, is passed over; no log at all has no entries.
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
	// The log is turned over at auditMax; more is not ours.
	r := bufio.NewReaderSize(io.LimitReader(f, 4*auditMax), auditLine)
	for whole := true; ; {
		line, err := r.ReadSlice('\n')
		var e Entry
		if whole && !errors.Is(err, bufio.ErrBufferFull) && json.Unmarshal(line, &e) == nil {
			fn(e)
		}
		switch {
		case err == nil:
			whole = true
		case errors.Is(err, bufio.ErrBufferFull):
			whole = false
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}
