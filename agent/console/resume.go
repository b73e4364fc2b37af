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
	if f.opt.State != "" {
		if err := os.MkdirAll(f.opt.State, 0o700); err != nil {
			return err
		}
		f.path = statePath(f.opt.State, f.opt.Source.Path)
		at, ok, err := loadPlace(f.path)
		if err != nil {
			return err
		}
		if ok {
			// Another guest may write to the log by now.
			at.Source, at.Meta = f.opt.Source, f.opt.Meta
			err := at.save(f.path, false)
			f.goOn(&at)
			if err != nil {
				f.problem(err) // the old one will do
			}
			return nil
		}
	}
	f.first()
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
	if err := f.remember(f.cur, 0, true); err != nil {
		f.problem(err) // following does not depend on it
	}
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
	if sure || p.gen != f.saved.Generation || time.Since(f.savedAt) >= saveEvery {
		if err := f.remember(p, off, sure); err != nil {
			f.problem(err)
		}
	}
	f.prune(at)
}

// remember writes the state file. p is nil while there is no log.
func (f *Follower) remember(p *part, off int64, sync bool) error {
	at := place{Lineage: f.lineage, Source: f.opt.Source, Generation: f.gen, Written: f.since, Meta: f.opt.Meta}
	if p != nil {
		at.Known = f.knownBefore(p.gen)
		at.Generation, at.File, at.Offset = p.gen, p.id, off
		sum, size, ok := p.tailAt(off)
		if !ok {
			return nil // it is another file by now, which the next reading finds out
		}
		at.Tail, at.TailSize = sum, size
	}
	f.saved, f.savedAt = at, time.Now()
	if f.path == "" {
		return nil
	}
	return at.save(f.path, sync)
}
