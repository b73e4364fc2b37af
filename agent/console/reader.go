package console

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ukdbg/ukdbg/asserts"
)

// reader is the follower as its scanner reads it: the text of all the files the
// log has been, one after the other.
type reader Follower

// Read returns asserts.ErrQuiet once the log has been silent for a while, io.EOF
// at the end of one that ended, and the context's error.
func (r *reader) Read(b []byte) (int, error) {
	f := (*Follower)(r)
	f.keep(false)
	quiet := time.Now().Add(f.opt.Quiet)
	for {
		if err := f.ctx.Err(); err != nil {
			return 0, err
		}
		if f.gap {
			// Reports do not go on behind it, nor does a line.
			if f.torn {
				f.torn = false
				f.came(f.segs[len(f.segs)-1].part, 1, true)
				b[0] = '\n'
				return 1, nil
			}
			f.gap, f.told = false, true
			return 0, asserts.ErrQuiet
		}
		n, wait, err := f.step(b)
		switch {
		case n > 0:
			f.told, f.torn = false, b[n-1] != '\n'
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, err
		case err != nil:
			f.problem(err)
		}
		if wait == 0 {
			continue
		}
		if !f.told {
			if wait = min(wait, time.Until(quiet)); wait <= 0 {
				f.told = true
				return 0, asserts.ErrQuiet
			}
		}
		if f.unsaved {
			wait = min(wait, saveAgain)
		}
		f.wait(wait)
		if f.unsaved {
			f.keep(false)
		}
	}
}

// forever is longer than any wait.
const forever = time.Duration(1<<63 - 1)

func (f *Follower) wait(d time.Duration) {
	f.show()
	ended := f.ended
	if d < forever {
		ended = nil // it is waited for something else
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-f.wake:
		case <-t.C:
		case <-f.ctx.Done():
		case <-ended:
		}
		return
	}
	select {
	case <-f.wake:
	case <-f.ctx.Done():
	case <-ended:
	}
}

func (f *Follower) problem(err error) {
	f.count(func(s *Stats) {
		s.Problem = ""
		if err != nil {
			s.Problem = err.Error()
		}
	})
}

// over reports whether End was called.
func (f *Follower) over() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// endPatience bounds what a log that ended is waited with.
const endPatience = 5 * time.Second

// settling is how long a log that ended is waited with: the next guest may be writing
// into it, whose report is not to be cut in two.
func (f *Follower) settling() time.Duration {
	left := f.opt.Quiet - time.Since(f.cur.seen)
	if left > f.opt.Quiet || time.Since(f.endedAt) > endPatience {
		return 0 // the host's clock was set, or it is written on and on
	}
	return max(left, 0)
}

// step reads once, or goes on to the next file. With no bytes, wait is how long
// to wait for more, 0 for not at all.
func (f *Follower) step(b []byte) (n int, wait time.Duration, err error) {
	if f.cur == nil {
		return f.begin()
	}
	const worth = 4 << 10 // bytes for which it is worth to read
	have := f.bytes.left(time.Now())
	if have < worth {
		return 0, f.bytes.wait(chunk), nil
	}
	first := f.cur.live && f.cur.pos == 0
	n, err = f.cur.read(b[:min(len(b), int(have))])
	if first && err == nil && f.missed() {
		return 0, 0, f.next()
	}
	switch {
	case errors.Is(err, errReplaced):
		f.truncated()
		return 0, 0, nil
	case err != nil && f.ctx.Err() != nil:
		return 0, 0, nil // it was not read for that
	case err != nil && f.cur.gz != nil:
		f.problem(err) // a damaged archive ends where it does, or where it is too much
		f.lost()
		f.since = f.cur.seen // it is not looked for again
		return 0, 0, f.next()
	case err != nil:
		return 0, tick, err
	case n > 0:
		return f.took(b[:n])
	case !f.cur.live:
		return 0, 0, f.next()
	}
	f.unpacked, f.chased = 0, 0
	f.count(func(s *Stats) { s.Behind = 0 })
	replaced, err := f.replaced()
	switch {
	case replaced:
		return 0, 0, nil
	case f.over():
		if left := f.settling(); left > 0 {
			return 0, left, nil
		}
		return 0, 0, io.EOF
	case err != nil:
		return 0, tick, err
	}
	f.problem(nil)
	return 0, forever, nil
}

// took notes what was read, and passes what is none: the zeros of a hole that a
// writer left that goes on at its old offset behind a truncation.
func (f *Follower) took(b []byte) (int, time.Duration, error) {
	p := f.cur
	n := len(b)
	f.bytes.take(float64(n))
	zeros := 0
	for zeros < n && b[zeros] == 0 {
		zeros++
	}
	if zeros == n {
		if p.gz == nil {
			if at := nextData(p.f, p.pos); at > p.pos {
				return 0, 0, p.skipTo(at)
			}
		}
		return 0, 0, nil
	}
	f.count(func(s *Stats) { s.Bytes += uint64(n) })
	f.since = p.seen
	copy(b, b[zeros:])
	f.came(p, int64(n-zeros), false)
	if n == chunk && p.live {
		return n - zeros, 0, f.lag()
	}
	return n - zeros, 0, nil
}

// lag finds out how far reading lies behind, and passes what is too much.
func (f *Follower) lag() error {
	st, err := stateOf(f.cur.f)
	if err != nil {
		return nil // the next reading tells
	}
	behind := st.size - f.cur.pos
	if most := f.opt.Limits.Behind; behind > most {
		at := st.size - most/2
		passed := at - f.cur.pos
		if err := f.cur.skipTo(at); err != nil {
			return nil
		}
		behind -= passed
		f.gap = true
		f.count(func(s *Stats) { s.Skipped += uint64(passed) })
	}
	f.count(func(s *Stats) { s.Behind = behind })
	return nil
}

// begin waits for the log.
func (f *Follower) begin() (int, time.Duration, error) {
	err := f.openLive()
	switch {
	case err == nil:
		return 0, 0, nil
	case f.over():
		return 0, 0, io.EOF
	case errors.Is(err, fs.ErrNotExist):
		return 0, forever, nil
	}
	return 0, tick, err
}

// replaced finds out whether another file is the log now, once the current one has
// been read. One that is empty is not yet: a VMM writes on into the one it has
// open, whatever became of its name.
func (f *Follower) replaced() (bool, error) {
	there, err := statLog(f.opt.Source.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // between the renaming and the new file
	}
	if err != nil || there.id == f.cur.id {
		return false, err
	}
	if there.size == 0 && !f.beside() {
		return false, nil
	}
	// What the writer still wrote before it went to the new file is read first.
	f.cur.live = false
	f.read(f.cur)
	f.queue = append(f.queue, f.unread(f.cur.seen, f.cur.id)...)
	return true, nil
}

// beside finds out whether there are rotated files that have not been read.
func (f *Follower) beside() bool {
	dir, err := os.Stat(filepath.Dir(f.opt.Source.Path))
	if err != nil || dir.ModTime().Equal(f.dirSeen) {
		return false
	}
	if time.Since(dir.ModTime()) > tick {
		f.dirSeen = dir.ModTime() // it is coarse: what happens now would leave it as it is
	}
	parts := f.unread(f.cur.seen, f.cur.id)
	closeAll(parts)
	return len(parts) > 0
}

// missed finds files that were the log between the one read before and the
// current one, of which nothing is read yet. That one is then read after them,
// under whatever name it has.
func (f *Follower) missed() bool {
	parts := f.unread(f.since)
	if len(parts) == 0 || parts[0].id == f.cur.id {
		closeAll(parts) // what follows is found when this one is read
		return false
	}
	if f.chased += len(parts); f.chased > maxSiblings {
		// More files of one time than are remembered: they would be read for ever.
		closeAll(parts)
		f.lost()
		return false
	}
	f.gen = f.cur.gen - 1
	f.leave(f.cur)
	f.queue = append(f.queue, parts...)
	return true
}

// truncated goes on where the text of a file does that has lost it: in a copy, if
// there is one, and then at the file's beginning.
func (f *Follower) truncated() {
	p := f.cur
	at := place{File: p.id, Offset: p.pos, Tail: sumOf(p.tail), TailSize: len(p.tail), Written: f.since}
	since := f.since
	var parts []*part
	if copied := f.search(&at); copied != nil {
		copied.gen = p.gen
		since = copied.seen
		parts = append(parts, copied)
		f.read(copied)
	} else {
		f.lost()
	}
	parts = append(parts, f.unread(since)...)
	f.leave(p)
	f.queue = append(f.queue, parts...)
	if err := f.next(); err != nil {
		f.problem(err)
	}
}

// lost notes that something may have been lost unread.
func (f *Follower) lost() {
	f.gap = len(f.segs) > 0
	f.count(func(s *Stats) { s.Gaps++ })
}

// leave closes a file that was read, unless its text is still waited with.
func (f *Follower) leave(p *part) {
	if f.cur == p {
		f.cur = nil
	}
	if p.uses == 0 {
		p.close()
	}
}

// read remembers that a file has been read, as it is now: it may be compressed
// before its successors are looked for.
func (f *Follower) read(p *part) {
	if st, err := stateOf(p.f); err == nil {
		s := sibling{fileState: st}
		f.know(s.name(), p.gen)
	}
}

// next goes on to the next file.
func (f *Follower) next() error {
	if p := f.cur; p != nil {
		if len(f.queue) == 0 && p.gz == nil && !f.begun() {
			p.live = true // as far as is known; see replaced
			return nil
		}
		f.read(p)
		f.leave(p)
	}
	if len(f.queue) == 0 {
		if err := f.openLive(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	p := f.queue[0]
	f.queue = f.queue[1:]
	f.start(p)
	return nil
}

// begun reports whether there is anything in the log at its own path.
func (f *Follower) begun() bool {
	st, err := statLog(f.opt.Source.Path)
	return err == nil && st.size > 0
}

// start makes p the file that is read.
func (f *Follower) start(p *part) {
	if p.gen == 0 {
		if f.gen++; f.gen > 1 {
			f.count(func(s *Stats) { s.Rotations++ })
		}
		p.gen = f.gen
	}
	f.cur = p
	f.watch.watch(f, p.f)
	f.show()
}

// openLive goes on with the log itself, from its beginning.
func (f *Follower) openLive() error {
	file, st, err := openLog(f.opt.Source.Path)
	if err != nil {
		return err
	}
	if o := f.opt.Source.Owner; o != nil && st.uid != *o {
		file.Close()
		return fmt.Errorf("%s belongs to uid %d now, not to %d any more: it is left alone", f.opt.Source.Path, st.uid, *o)
	}
	f.owner = st.uid
	f.start(&part{f: file, id: st.id, live: true})
	return nil
}
