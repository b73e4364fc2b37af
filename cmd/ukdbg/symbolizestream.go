package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Bounds of a stream: how much is read at once, how long a line may be, and how
// many queries wait for an answer.
const (
	readSize   = 64 << 10
	maxQuery   = 4 << 10
	maxWaiting = 1 << 20
	// wholeBatch is how many of a file, where nobody waits, are answered together:
	// each batch reads anew what it needs of a big image.
	wholeBatch = 1 << 18
)

// stream answers the queries of in, a line each. Somebody may wait for each
// answer at the other end of the pipe, so a line is answered as soon as it is there;
// those that come while others are answered are answered together.
func (s *answering) stream(in io.Reader) error {
	f := feed{}
	f.changed.L = &f.mu
	if file, ok := in.(*os.File); ok {
		st, err := file.Stat()
		f.whole = err == nil && st.Mode().IsRegular()
	}
	go f.read(in)
	for {
		queries, err := f.take()
		if len(queries) > 0 {
			if err := s.answer(queries); err != nil {
				f.stop()
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading addresses: %w", err)
		}
	}
}

// feed holds the queries that were read and not answered yet.
type feed struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []query
	err     error // why no more come, io.EOF at the end
	whole   bool  // the input is a file
}

// take returns what waits, at least one query, or the error that ended the input.
func (f *feed) take() ([]query, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) == 0 && f.err == nil {
		f.changed.Wait()
	}
	out := f.waiting
	f.waiting = nil
	f.changed.Broadcast()
	return out, f.err
}

func (f *feed) stop() {
	f.mu.Lock()
	f.err = io.EOF
	f.mu.Unlock()
	f.changed.Broadcast()
}

// give adds queries once there is room, or says that none are wanted any more.
func (f *feed) give(queries []query, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) >= maxWaiting && f.err == nil {
		f.changed.Wait()
	}
	if f.err != nil {
		return false
	}
	f.waiting = append(f.waiting, queries...)
	f.err = err
	f.changed.Broadcast()
	return err == nil
}

var errLongLine = errors.New("a line is too long for an address")

func (f *feed) read(in io.Reader) {
	buf := make([]byte, readSize)
	have := 0 // bytes of a line that has no end yet
	var queries []query
	for {
		n, err := in.Read(buf[have:])
		data := buf[:have+n]
		for len(data) > 0 {
			line, rest, ended := bytes.Cut(data, []byte{'\n'})
			if len(line) > maxQuery {
				err = errLongLine
				break
			}
			if !ended && err != io.EOF {
				break // its end is to come; where reading failed it may be half an address
			}
			if line = bytes.TrimSpace(line); len(line) > 0 {
				queries = append(queries, parseQuery(line))
			}
			data = rest
		}
		have = copy(buf, data)
		if f.whole && err == nil && len(queries) < wholeBatch {
			continue
		}
		if !f.give(queries, err) {
			return
		}
		queries = queries[:0]
	}
}
