package ctf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ukdbg/ukdbg/exporters"
)

// Stats counts what was written.
type Stats struct {
	// Events is the records, Classes the kinds of them, Streams the CPUs.
	Events  uint64
	Classes int
	Streams int
	// Late is the records that came after a newer one of the same CPU. Times in
	// a stream must not go back, so they got the time of the one before.
	Late uint64
}

// maxStreams bounds the files; CPUs beyond share the last.
const maxStreams = 256

// maxClasses bounds the event classes: a tracepoint each, and one more for each
// other set of attributes it comes with.
const maxClasses = 1 << 16

// Write writes the records of a trace into a new or empty folder.
func Write(dir string, t exporters.Trace) (Stats, error) {
	w := &writer{dir: dir, trace: t, streams: map[int]*stream{}, classes: map[string]*class{}}
	err := w.all()
	for _, s := range w.streams {
		err = errors.Join(err, s.close())
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "metadata"), w.metadata(), 0o644)
	}
	w.stats.Classes, w.stats.Streams = len(w.list), len(w.streams)
	if err != nil {
		return w.stats, fmt.Errorf("writing CTF: %w", err)
	}
	return w.stats, nil
}

type writer struct {
	dir     string
	trace   exporters.Trace
	streams map[int]*stream // by CPU, -1 where it is not known
	classes map[string]*class
	list    []*class // by id
	key     []byte
	stats   Stats
}

func (w *writer) all() error {
	if w.trace.Records == nil {
		return errors.New("the trace has no records")
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	if there, err := os.ReadDir(w.dir); err != nil {
		return err
	} else if len(there) > 0 {
		return fmt.Errorf("the folder %s is not empty", w.dir)
	}
	for e, err := range w.trace.Records {
		if err != nil {
			return fmt.Errorf("reading records to export: %w", err)
		}
		if err := w.event(&e); err != nil {
			return err
		}
	}
	if len(w.streams) == 0 { // a trace of nothing has a stream, too
		_, err := w.stream(exporters.CPU{})
		return err
	}
	return nil
}

func (w *writer) event(e *exporters.Event) error {
	c, err := w.class(e)
	if err != nil {
		return err
	}
	s, err := w.stream(e.CPU)
	if err != nil {
		return err
	}
	unix, _ := w.trace.Clock.Unix(e.Time)
	at := uint64(max(unix-w.trace.Clock.Boot(), 0))
	if at < s.last {
		at = s.last
		w.stats.Late++
	}
	w.stats.Events++
	return s.event(c, at, e)
}

// stream returns the CPU's stream and opens it when it is new.
func (w *writer) stream(cpu exporters.CPU) (*stream, error) {
	n := -1
	if cpu.Known {
		n = min(cpu.ID, maxStreams-1)
	}
	if s := w.streams[n]; s != nil {
		return s, nil
	}
	name := "records"
	if n >= 0 {
		name = fmt.Sprintf("cpu%d", n)
	}
	f, err := os.Create(filepath.Join(w.dir, name))
	if err != nil {
		return nil, err
	}
	s := &stream{f: f, cpu: n}
	s.begin(0)
	w.streams[n] = s
	return s, nil
}
