package console

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// resume finds the place that is remembered, or takes the first one.
func (f *Follower) resume() error {
	var at place
	var ok bool
	if f.opt.State != "" {
		f.path = statePath(f.opt.State, f.opt.Source.Path)
		var err error
		if at, ok, err = loadPlace(f.path); err != nil {
			return err
		}
	}
	if f.opt.Places != nil {
		// With a folder it is what the disk did not take.
		if newer, there := f.opt.Places.get(f.opt.Source.Path); there {
			at, ok = newer, true
		}
	}
	if !ok {
		f.first()
		return nil
	}
	// Another guest may write to the log by now.
	at.Source, at.Meta = f.opt.Source, f.opt.Meta
	err := f.put(&at, false)
	f.goOn(&at)
	f.unkept(err) // the old one will do
	return nil
}

// first begins with a log of which nothing is remembered. What was rotated before
// is not looked at.
func (f *Follower) first() {
	f.lineage = newLineage()
	err := f.openLive()
	if err == nil {
		for _, s := range f.siblings() {
			f.know(s.name(), 0)
		}
		if st, serr := stateOf(f.cur.f); serr == nil && f.opt.FromEnd {
			err = f.cur.skipTo(st.size)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.problem(err)
	}
	at := int64(0)
	if f.cur != nil {
		at = f.cur.pos
	}
	f.remember(f.cur, at, true) // following does not depend on it
}

// goOn goes on at a remembered place.
func (f *Follower) goOn(at *place) {
	f.lineage, f.gen, f.since, f.saved = at.Lineage, at.Generation, at.Written, *at
	for _, name := range at.Known {
		f.know(name, 0)
	}
	p := f.find(at)
	if p != nil {
		p.gen = at.Generation
		f.start(p)
		if !p.live {
			f.read(p)
			f.queue = f.unread(p.seen, p.id)
		}
		return
	}
	if at.Offset > 0 {
		f.lost()
	}
	f.queue = f.unread(at.Written)
	if err := f.next(); err != nil {
		f.problem(err)
	}
}

// find looks for the file that has the place.
func (f *Follower) find(at *place) *part {
	file, st, err := openLog(f.opt.Source.Path)
	if err == nil {
		f.owner = st.uid
		p := &part{f: file, id: st.id, seen: st.mtime, live: true}
		if o := f.opt.Source.Owner; st.id == at.File && (o == nil || *o == st.uid) && p.holds(at) {
			return p
		}
		p.close()
	} else if o := f.opt.Source.Owner; o != nil {
		f.owner = *o
	}
	if p := f.search(at); p != nil {
		p.live = p.id == at.File && p.gz == nil // the VMM may still have it open
		return p
	}
	// Its name may be gone, and the VMM still write it.
	proc := filepath.Join("/proc", strconv.Itoa(f.opt.Source.PID))
	for _, fd := range descriptors(proc, at.File) {
		file, st, err := openLog(filepath.Join(proc, "fd", fd))
		if err != nil {
			continue
		}
		p := &part{f: file, id: st.id, seen: st.mtime, live: true}
		if p.holds(at) {
			return p
		}
		p.close()
	}
	return nil
}

// keep remembers up to where every report has been returned and taken care of.
// With sure it does so at once, and on the disk.
func (f *Follower) keep(sure bool) {
	at := f.sc.Settled()
	p, off, ok := f.locate(at)
	if !ok {
		return
	}
	if p.gen == f.saved.Generation && off == f.saved.Offset && p.id == f.saved.File {
		f.prune(at)
		return
	}
	every := saveEvery
	if f.unsaved {
		every = saveAgain
	}
	if sure || p.gen != f.saved.Generation && !f.unsaved || time.Since(f.savedAt) >= every {
		f.remember(p, off, sure)
	}
	f.prune(at)
}

// remember writes the state file. p is nil while there is no log.
func (f *Follower) remember(p *part, off int64, sync bool) {
	f.mu.Lock()
	meta := f.meta
	f.mu.Unlock()
	at := place{Lineage: f.lineage, Source: f.opt.Source, Generation: f.gen, Written: f.since, Meta: meta}
	if p != nil {
		at.Known = f.knownBefore(p.gen)
		at.Generation, at.File, at.Offset = p.gen, p.id, off
		sum, size, ok := p.tailAt(off)
		if !ok {
			return // it is another file by now, which the next reading finds out
		}
		at.Tail, at.TailSize = sum, size
	}
	f.savedAt = time.Now()
	err := f.put(&at, sync)
	if err == nil {
		f.saved = at
	}
	f.unkept(err)
}

// put puts a place where it is remembered.
func (f *Follower) put(at *place, sync bool) error {
	if f.path == "" {
		if f.opt.Places != nil {
			f.opt.Places.put(at)
		}
		return nil
	}
	err := at.save(f.path, sync)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(f.opt.State, 0o700); err == nil {
			err = at.save(f.path, sync)
		}
	}
	if f.opt.Places != nil {
		if err != nil {
			f.opt.Places.put(at)
		} else {
			f.opt.Places.forget(at.Source.Path)
		}
	}
	return err
}

// unkept notes whether the place could be kept.
func (f *Follower) unkept(err error) {
	f.unsaved = err != nil
	f.count(func(s *Stats) {
		s.Unkept = ""
		if err != nil {
			s.Unkept = err.Error()
		}
	})
}
