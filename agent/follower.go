package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/ukdbg/ukdbg/agent/console"
)

// follower is one guest's console. It is opened by the goroutine that reads it: the
// manager waits for no disk.
type follower struct {
	src console.Source
	// over: nothing more is written; told is the trouble that the log tells of. Both are
	// the manager's.
	over bool
	told string

	mu    sync.Mutex
	f     *console.Follower // nil until it is open
	ended bool
	meta  json.RawMessage // that came before it was open
}

func newFollower(src console.Source) *follower { return &follower{src: src} }

// run follows the console and hands each report on until there are no more; opened is
// called once it is followed.
func (w *follower) run(ctx context.Context, opt console.Options, opened func(), hand func(console.Fault)) error {
	f, err := console.Follow(ctx, opt)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.f = f
	if w.ended {
		f.End()
	}
	if w.meta != nil {
		err = f.SetMeta(w.meta)
	}
	w.mu.Unlock()
	opened()
	for err == nil {
		var fault console.Fault
		if fault, err = f.Next(); err == nil {
			hand(fault)
		}
	}
	cerr := f.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, cerr)
}

// end says that nothing more is written.
func (w *follower) end() {
	w.over = true
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.f != nil {
		w.f.End()
	}
}

// setMeta replaces what is remembered beside the place.
func (w *follower) setMeta(meta json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meta = meta
	if w.f != nil {
		_ = w.f.SetMeta(meta) // what is too large is left as it was
	}
}

// trouble says what is wrong at the moment, "" if nothing.
func (w *follower) trouble() string {
	switch s := w.stats(); {
	case s.Problem != "":
		return s.Problem
	case s.Unkept != "":
		return "how far it was read cannot be kept: " + s.Unkept
	}
	return ""
}

// stats are the counts so far.
func (w *follower) stats() console.Stats {
	w.mu.Lock()
	f := w.f
	w.mu.Unlock()
	if f == nil {
		return console.Stats{}
	}
	return f.Stats()
}
