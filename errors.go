package ukdbg

import "errors"

// Sentinels that decide a command's exit status.
var (
	// ErrUsage: the request itself is wrong (a bad target address, a missing
	// image).
	ErrUsage = errors.New("wrong usage")
	// ErrUnreachable: the target could not be reached, or was lost.
	ErrUnreachable = errors.New("target unreachable")
	// ErrMismatch: the image is not the one the guest runs.
	ErrMismatch = errors.New("image does not match the guest")
	// ErrStale: a thread or frame of an earlier epoch was used.
	ErrStale = errors.New("the guest has run since; ask again")
	// ErrNoImage: the request needs an image and none was given.
	ErrNoImage = errors.New("no image: give NAME.dbg with -e")
	// ErrNotLive: the target is a dump and cannot run.
	ErrNotLive = errors.New("the target is a dump, it cannot run or change")
)

// marked adds a sentinel to an error without repeating its text.
type marked struct {
	error
	mark error
}

func (m marked) Unwrap() []error { return []error{m.error, m.mark} }

func mark(err, sentinel error) error {
	if err == nil {
		return nil
	}
	return marked{err, sentinel}
}
