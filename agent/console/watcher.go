package console

import (
	"os"
	"sync"
	"time"
)

const (
	// tick is how often every log is looked at, whatever inotify says: it says
	// nothing of network file systems, and of a new file at the log's path.
	tick = time.Second
	// gather is how long events are collected: a guest's console is often
	// written byte by byte.
	gather = 20 * time.Millisecond
)

// Watcher tells followers that their logs may have changed: by inotify(7) where
// there is one, and by stat(2).
type Watcher struct {
	mu   sync.Mutex
	set  map[*Follower]int32 // its watch, -1 if none
	by   map[int32][]*Follower
	in   *os.File // nil without inotify
	stop chan struct{}
	done sync.WaitGroup
}

// NewWatcher returns a running Watcher.
func NewWatcher() *Watcher {
	w := &Watcher{set: map[*Follower]int32{}, by: map[int32][]*Follower{}, stop: make(chan struct{})}
	if w.in = openNotify(); w.in != nil {
		w.done.Go(w.listen)
	}
	w.done.Go(w.look)
	return w
}

// Close ends it. Its followers are told of nothing any more.
func (w *Watcher) Close() error {
	close(w.stop)
	var err error
	if w.in != nil {
		err = w.in.Close()
	}
	w.done.Wait()
	return err
}

// watch has a follower told of what happens to file, and to no other.
func (w *Watcher) watch(f *Follower, file *os.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(f)
	wd := int32(-1)
	if w.in != nil && file != nil {
		wd = addWatch(w.in, file)
	}
	w.set[f] = wd
	if wd >= 0 {
		w.by[wd] = append(w.by[wd], f)
	}
}

// forget ends what watch began.
func (w *Watcher) forget(f *Follower) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(f)
	delete(w.set, f)
}

// drop takes a follower's watch away. Followers of one file share it.
func (w *Watcher) drop(f *Follower) {
	wd, ok := w.set[f]
	if !ok || wd < 0 {
		return
	}
	rest := w.by[wd][:0]
	for _, g := range w.by[wd] {
		if g != f {
			rest = append(rest, g)
		}
	}
	if len(rest) > 0 {
		w.by[wd] = rest
		return
	}
	delete(w.by, wd)
	removeWatch(w.in, wd)
}

// listen wakes the followers of files that inotify names.
func (w *Watcher) listen() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.in.Read(buf)
		if err != nil {
			return // closed; looking goes on
		}
		w.mu.Lock()
		for wd := range watches(buf[:n]) {
			for _, f := range w.by[wd] {
				f.poke()
			}
		}
		w.mu.Unlock()
		select {
		case <-time.After(gather):
		case <-w.stop:
			return
		}
	}
}

// look wakes the followers whose logs are not as they were.
func (w *Watcher) look() {
	t := time.NewTicker(tick)
	defer t.Stop()
	var list []*Follower
	for {
		select {
		case <-t.C:
		case <-w.stop:
			return
		}
		list = list[:0]
		w.mu.Lock()
		for f := range w.set {
			list = append(list, f)
		}
		w.mu.Unlock()
		for _, f := range list {
			if f.changed() {
				f.poke()
			}
		}
	}
}
