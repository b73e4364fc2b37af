package asserts

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// followPoll is how often a growing log is looked at.
const followPoll = 100 * time.Millisecond

// Follow returns a reader of the log at path that waits for more at its end,
// until ctx is done. A log that was replaced (rotated by renaming) is read on
// with the new file once the old one is read, one that became shorter (truncated)
// from its beginning; a line that was not finished then is ended.
func Follow(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &follower{ctx: ctx, path: path, file: f}, nil
}

type follower struct {
	ctx     context.Context
	path    string
	file    *os.File
	pos     int64
	midline bool
}

func (f *follower) Close() error { return f.file.Close() }

// Read returns what the log has; io.EOF only when ctx is done.
func (f *follower) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := f.file.Read(p)
		if n > 0 {
			f.pos += int64(n)
			f.midline = p[n-1] != '\n'
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		moved, err := f.moved()
		if err != nil {
			return 0, err
		}
		if moved && f.midline {
			f.midline = false
			p[0] = '\n'
			return 1, nil
		}
		if moved {
			continue
		}
		select {
		case <-f.ctx.Done():
			return 0, io.EOF
		case <-time.After(followPoll):
		}
	}
}

// moved looks for a truncation or another file in the log's place and goes to
// its beginning.
func (f *follower) moved() (bool, error) {
	mine, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	if mine.Mode().IsRegular() && mine.Size() < f.pos {
		f.pos = 0
		_, err := f.file.Seek(0, io.SeekStart)
		return true, err
	}
	there, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // between the renaming and the new file
	}
	if err != nil || os.SameFile(mine, there) || mine.Size() > f.pos {
		return false, err
	}
	next, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = f.file.Close()
	f.file, f.pos = next, 0
	return true, err
}

// QuietAfter returns a reader of r that says ErrQuiet, once, when r has had
// nothing for that long. Reading goes on in a goroutine, which ends with r or
// with ctx.
func QuietAfter(ctx context.Context, r io.Reader, quiet time.Duration) io.Reader {
	q := &quietReader{ctx: ctx, quiet: quiet, more: make(chan piece), free: make(chan []byte, 2)}
	for range cap(q.free) {
		q.free <- make([]byte, MaxLine)
	}
	go q.run(r)
	return q
}

type quietReader struct {
	ctx   context.Context
	quiet time.Duration
	more  chan piece
	free  chan []byte
	cur   piece
	left  []byte
	told  bool
}

// piece is what one Read of the source gave; buf goes back when it is used up.
type piece struct {
	buf []byte
	n   int
	err error
}

func (q *quietReader) run(r io.Reader) {
	for {
		var buf []byte
		select {
		case buf = <-q.free:
		case <-q.ctx.Done():
			return
		}
		n, err := r.Read(buf)
		select {
		case q.more <- piece{buf, max(0, min(n, len(buf))), err}:
		case <-q.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Read returns io.EOF when ctx is done.
func (q *quietReader) Read(p []byte) (int, error) {
	if len(q.left) == 0 {
		if q.cur.err != nil {
			return 0, q.cur.err
		}
		wait := (<-chan time.Time)(nil)
		if !q.told {
			wait = time.After(q.quiet)
		}
		select {
		case q.cur = <-q.more:
			q.left, q.told = q.cur.buf[:q.cur.n], false
		case <-wait:
			q.told = true
			return 0, ErrQuiet
		case <-q.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(p, q.left)
	if q.left = q.left[n:]; len(q.left) == 0 && q.cur.err == nil {
		q.free <- q.cur.buf[:cap(q.cur.buf)]
	}
	return n, nil
}
