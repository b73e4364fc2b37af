package guesttest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// log collects output and lets readers wait for a text.
type log struct {
	mu    sync.Mutex
	buf   strings.Builder
	grown chan struct{} // closed and replaced on every write
	ended bool
}

func newLog() *log { return &log{grown: make(chan struct{})} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p)
	close(l.grown)
	l.grown = make(chan struct{})
	return len(p), nil
}

func (l *log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *log) wait(text string, timeout time.Duration) (string, error) {
	deadline := time.After(timeout)
	for {
		l.mu.Lock()
		all, grown, ended := l.buf.String(), l.grown, l.ended
		l.mu.Unlock()
		if strings.Contains(all, text) {
			return all, nil
		}
		if ended {
			return all, errors.New("QEMU has ended")
		}
		select {
		case <-grown:
		case <-deadline:
			return all, fmt.Errorf("nothing after %v", timeout)
		}
	}
}
