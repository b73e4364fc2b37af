package ukdbg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// maxProfileRecord bounds the recording a profile is made of in memory, in bytes.
const maxProfileRecord = 64 << 20

// errRecorded says that a recording is as large as it may be.
var errRecorded = errors.New("the records are too many for memory")

// RecordProfile makes a profile of kind Heap or Lock of a guest that is observed, by
// its trace records of a while, without a stop. It needs uktrace's rings: a plain
// buffer would have to be emptied, for which the guest must stand still, and is
// refused (target.ErrUnsupported).
func (s *Session) RecordProfile(ctx context.Context, kind profiler.Kind, d time.Duration) (*profiler.Profile, error) {
	if !s.Observing() {
		return nil, fmt.Errorf("a profile of kind %s without a stop: the guest is not observed: %w", kind, target.ErrUnsupported)
	}
	switch _, err := s.rings(ctx); {
	case errors.Is(err, ring.ErrNone):
		return nil, fmt.Errorf("a profile of kind %s is made of trace records, and emptying a plain trace buffer stops the guest: %w", kind, target.ErrUnsupported)
	case err != nil:
		return nil, err
	}
	out := &limited{left: maxProfileRecord}
	began := time.Now()
	_, err := s.RecordTrace(ctx, RecordOptions{Out: out, For: d})
	if err != nil && !errors.Is(err, errRecorded) {
		return nil, err
	}
	made := NewTraceProfile(kind)
	totals, rerr := (&analysis.Query{}).Run([]stream.Source{stream.NewRecording(&out.buf)}, made.Visitor())
	if rerr != nil {
		return nil, rerr
	}
	p := made.Profile(s.image, totals)
	p.Start = began
	if err != nil {
		p.Warnings = append(p.Warnings, fmt.Sprintf("recorded for %v only: %v", time.Since(began).Round(time.Millisecond), err))
	}
	return p, nil
}

// limited is a buffer of a bounded size.
type limited struct {
	buf  bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errRecorded
	}
	l.left -= len(p)
	return l.buf.Write(p)
}
