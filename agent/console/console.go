package console

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/ukdbg/ukdbg/asserts"
)

// Options say what to follow and how.
type Options struct {
	Source Source
	// State is the folder that keeps the places of consoles, "" for none: then
	// following begins anew with each process. It is made with mode 0700.
	State string
	// FromEnd begins at the log's end where no place is remembered, else at its
	// beginning.
	FromEnd bool
	// Places remembers it without a folder, for as long as this process lives; nil for
	// not at all. It is used where State is "", and while that folder's disk takes nothing.
	Places *Places
	// Meta is kept beside the place for Remembered: what its user wants to know
	// of the guest when the guest itself is gone. At most MaxMeta.
	Meta json.RawMessage
	// Watcher tells of growth; nil for one of this follower's own.
	Watcher *Watcher
	Limits  Limits
	// Quiet is how long a log must be silent for a report at its end to be
	// complete; 1 s if 0.
	Quiet time.Duration
}

// Fault is a complete report of a console.
type Fault struct {
	// ID is 16 hex digits, the same when the report is returned again after a
	// death of this process, and no other report's.
	ID string
	// Fingerprint is that of equal faults, without the names of an image.
	Fingerprint string
	// Report's own line numbers and offset count from where reading began.
	Report *asserts.Fault
	// At is when the report was complete, by this host's clock.
	At time.Time
	// Path is the log, Generation counts its replacements and truncations, and
	// Offset is that of the report's first byte in it.
	Path       string
	Generation uint64
	Offset     int64
	// Suppressed is how many reports were only counted since the one before.
	Suppressed uint64
}

// Stats are counts since Follow.
type Stats struct {
	Bytes      uint64 // read
	Reports    uint64 // returned by Next
	Suppressed uint64 // reports that were only counted
	// Skipped is how many bytes were passed unread, because reading lagged.
	Skipped uint64
	// Rotations counts the replacements and truncations seen.
	Rotations uint64
	// Gaps counts those at which something may have been lost unread.
	Gaps uint64
	// Behind is how many bytes wait to be read.
	Behind int64
	// Problem is why the log cannot be read at the moment, "" if it can.
	Problem string
	// Unkept is why the place cannot be kept at the moment, "" if it can: reports
	// returned since then would be returned again after a restart.
	Unkept string
}

// ErrOversize says that Options.Meta is too large.
var ErrOversize = errors.New("more than 16 KiB are to be remembered of a console")

// MaxMeta bounds Options.Meta, in bytes.
const MaxMeta = 16 << 10
