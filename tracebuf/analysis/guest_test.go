package analysis

import (
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

// newTrace has the tracepoints that the analyses look for.
func newTrace(t *testing.T) *tracetest.Trace {
	return tracetest.New(t,
		"serve id=%d", "serve_ret id=%d", "serve_err id=%d", "open path=%s", "open_ret fd=%d",
		"note text=%s", "sched_switch %s -> %s runnable=%u", "sched_wakeup %s",
		"mutex_lock mutex=%p", "mutex_lock_ret mutex=%p", "mutex_unlock mutex=%p",
		"malloc size=%lu", "malloc_ret %p", "malloc_err errno=%d", "free %p")
}

// source reads the records of one guest.
func source(tr *tracetest.Trace) *stream.Snapshot {
	g := &stream.Guest{Definitions: tr.Definitions, Start: recording.Start{Name: "guest"}}
	return stream.NewSnapshot(g, recording.Data{}, tr.Records)
}

// with runs a query over one trace.
func with(t *testing.T, q *Query, tr *tracetest.Trace, v Visitor) *Totals {
	t.Helper()
	totals, err := q.Run([]stream.Source{source(tr)}, v)
	if err != nil {
		t.Fatal(err)
	}
	return totals
}

// ring is an extended record's part.
func ring(thread uint64, cpu uint16, stack ...byte) tracebuf.Ext {
	return tracebuf.Ext{Thread: thread, CPU: cpu, Stack: stack}
}
