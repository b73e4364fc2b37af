package ukdbg

import (
	"context"
	"errors"
	"io"

	"github.com/ukdbg/ukdbg/tracebuf/recording"
)

// SaveTrace writes what the trace buffer, or the rings, hold now as a recording,
// and returns how many records that is. The guest's buffer is not changed.
func (s *Session) SaveTrace(ctx context.Context, w io.Writer, program string) (records int, err error) {
	t, err := s.Trace(ctx)
	if err != nil {
		return 0, err
	}
	section, err := s.image.SectionData(definitionsSection)
	if err != nil {
		return 0, err
	}
	st := t.Guest.Start
	st.Program, st.Started, st.Buffer = program, t.Taken.UnixNano(), t.Snapshot.Info.Size
	out := recording.NewWriter(w, 0)
	err = errors.Join(out.Start(st, section), out.Threads(recording.Threads{Threads: s.threadNames(ctx)}), out.Segment(recording.Segment{Reason: "start"}))
	if err != nil {
		return 0, err
	}
	stats, err := out.Records(recording.Data{Drain: 1, Slide: t.Slide, Before: t.Taken.UnixNano()}, t.Snapshot.Data, t.Guest.Definitions)
	if err != nil {
		return 0, err
	}
	return int(stats.Records), out.End(recording.End{})
}
