package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"sync"
)

// compactAt is the size at which the file is folded into its state, in bytes.
const compactAt = 256 << 10

// ErrTooLong says that a record is longer than one can be.
var ErrTooLong = errors.New("too long for the guard's journal")

// Writer appends to a journal. It may be used from several goroutines; a nil
// Writer keeps nothing.
type Writer struct {
	path  string
	limit int64

	mu    sync.Mutex
	f     *os.File
	size  int64
	buf   enc
	state State
}

// Create makes a new journal at path, with mode 0600. The error is ErrTooLong if b is.
func Create(path string, b Begin) (*Writer, error) {
	w := &Writer{path: path, limit: compactAt}
	w.buf = frame(append(w.buf, Magic...), b)
	err := fits(len(w.buf) - len(Magic))
	if err != nil {
		return nil, err
	}
	if w.f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	b.apply(&w.state)
	return w, w.flush()
}

// Continue goes on with a journal that others began, behind its last whole
// record. Nobody else may write to it any more.
func Continue(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	st, size, err := Read(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	st.Torn = false
	return &Writer{path: path, f: f, limit: compactAt, size: size, state: *st}, nil
}

// Append writes r. An error means that it is not in the journal, so what it
// tells of must not be done; ErrTooLong is one.
func (w *Writer) Append(r Record) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return fmt.Errorf("journal %s: %w", w.path, os.ErrClosed)
	}
	w.buf = frame(w.buf[:0], r)
	if err := fits(len(w.buf)); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	r.apply(&w.state)
	if w.size > w.limit {
		return w.compact()
	}
	return nil
}

// fits is an error for a frame of n bytes that is longer than one can be: a reader would
// stop there, and see nothing of what follows.
func fits(n int) error {
	if n -= headSize; n > maxRecord {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, n, maxRecord)
	}
	return nil
}

// State is what the journal adds up to. It shares nothing with the Writer but
// the bytes of its entries, which do not change.
func (w *Writer) State() State {
	if w == nil {
		return State{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.Breaks = append([]Break(nil), s.Breaks...)
	s.Memory = append([]Memory(nil), s.Memory...)
	s.Registers = append([]Register(nil), s.Registers...)
	s.Kept = append([]Kept(nil), s.Kept...)
	s.Settings = append([]Setting(nil), s.Settings...)
	s.Heard = append([]byte(nil), s.Heard...)
	return s
}

// Path is where the journal lies.
func (w *Writer) Path() string { return w.path }

// Close ends the writing; the file stays.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	return err
}

// flush writes buf in one piece; mu is held.
func (w *Writer) flush() error {
	n, err := w.f.Write(w.buf)
	w.size += int64(n)
	if err != nil {
		// What was written of it must not hide later records.
		if w.f.Truncate(w.size-int64(n)) == nil {
			w.size -= int64(n)
		}
		return fmt.Errorf("writing the guard's journal: %w", err)
	}
	return nil
}

// frame appends a record as it is in the file.
func frame(e enc, r Record) enc {
	at := len(e)
	e = append(e, make([]byte, headSize)...)
	e = r.put(append(e, byte(r.kind())))
	body := e[at+headSize:]
	binary.LittleEndian.PutUint32(e[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(e[at+4:], crc32.Checksum(body, table))
	return e
}

// compact replaces the file by one that holds only the state; mu is held. Dying
// in between leaves one of the two in place, whole.
func (w *Writer) compact() error {
	e := append(w.buf[:0], Magic...)
	for _, r := range w.state.records() {
		e = frame(e, r)
	}
	w.buf = e
	tmp := w.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err == nil {
		if _, err = f.Write(e); err == nil {
			err = os.Rename(tmp, w.path)
		}
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		// The long one is as good; try again when it has grown as much again.
		w.limit += compactAt
		return nil
	}
	w.f.Close()
	w.f, w.size, w.limit = f, int64(len(e)), int64(len(e))+compactAt
	return nil
}

// records are the fewest that add up to s.
func (s *State) records() []Record {
	out := []Record{s.Begin, Guarded{s.Guard}, Identified{s.VMM}}
	if s.Connecting {
		out = append(out, Connecting{s.ConnectedAt})
	}
	if s.Attached {
		out = append(out, s.Stub)
	}
	for _, b := range s.Breaks {
		out = append(out, Insert{b})
	}
	for _, m := range s.Memory {
		out = append(out, MemoryChanged{m})
	}
	for _, r := range s.Registers {
		out = append(out, RegisterChanged{r})
	}
	for _, k := range s.Kept {
		out = append(out, k)
	}
	if s.Temp != nil {
		out = append(out, TempOpened{*s.Temp})
	}
	for _, t := range s.Settings {
		out = append(out, t)
	}
	out = append(out, Stopped{s.LeaveRunning})
	if s.Running {
		out = append(out, Resume{s.Stepping})
	}
	if s.Sure {
		out = append(out, Resumed{})
	}
	if s.Interrupted {
		out = append(out, Interrupt{})
	}
	for part := range slices.Chunk(s.Heard, maxRecord/2) {
		out = append(out, Heard{part})
	}
	if s.Detaching {
		out = append(out, Detaching{})
	}
	if s.Left {
		out = append(out, Left{})
	}
	return out
}
