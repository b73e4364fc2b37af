package ukdbg

import (
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// wakePoint is the tracepoint by which a scheduler tells that a thread may run
// again, the thread in its first argument.
const wakePoint = "sched_wakeup"

// flows connects each wake-up of a thread with the switch to it.
type flows struct {
	// woken are the wake-ups since which the thread has not run, by thread.
	woken map[wokenThread]uint64
}

type wokenThread struct {
	guest *stream.Guest
	name  string
}

// maxWoken bounds them; a guest has fewer threads.
const maxWoken = 1 << 12

// of returns the flows that a record belongs to.
func (f *flows) of(s *analysis.Seen) []uint64 {
	switch s.Rec.Def.Name {
	case wakePoint:
		if name := threadArgument(s, 0); name != "" {
			if f.woken == nil || len(f.woken) == maxWoken {
				f.woken = map[wokenThread]uint64{}
			}
			f.woken[wokenThread{s.Guest, name}] = s.Rec.Position
			return []uint64{s.Rec.Position}
		}
	case stream.SwitchPoint:
		key := wokenThread{s.Guest, threadArgument(s, 1)}
		if at, ok := f.woken[key]; ok {
			delete(f.woken, key)
			return []uint64{at}
		}
	}
	return nil
}

// threadArgument is the thread in argument i: its name, or its address, which
// the guest's list of threads names.
func threadArgument(s *analysis.Seen, i int) string {
	if i >= len(s.Rec.Def.Args) {
		return ""
	}
	if s.Rec.Def.Args[i].Type == tracebuf.ArgString {
		return s.Rec.String(i)
	}
	return s.Guest.ThreadName(s.Rec.Uint(i))
}
