package exporttest

import (
	"fmt"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
)

// Hostile is a guest's text that means something to each form: HTML, CSV, JSON,
// CTF's metadata, terminals, and no UTF-8.
const Hostile = "</script><img src=x onerror=alert(1)>;\"quoted\",\n\t=1+2 \\ ${x} \x1b[31m \xff\xfe é 漢"

// Boot is the Unix time of guest time zero in Trace's clock, in nanoseconds.
const Boot = 1_700_000_000_000_000_000

// Trace makes n requests, three spans and two other records each, on three
// threads and two CPUs. Each part can be gone through again.
func Trace(n int) exporters.Trace {
	clock, err := exporters.NewClock(exporters.Segment{Offset: Boot, Uncertainty: 1000})
	if err != nil {
		panic(err) // the segment above
	}
	return exporters.Trace{
		Process:  "shop " + Hostile,
		Clock:    clock,
		Spans:    spans(n),
		Instants: events(n, false),
		Records:  events(n, true),
		Counters: func(yield func(exporters.Counter, error) bool) {
			for i := range n {
				if !yield(exporters.Counter{Name: "heap used", Unit: "bytes", Time: start(i), Value: int64(4096 * (i % 7))}, nil) {
					return
				}
			}
		},
	}
}

func start(i int) int64 { return int64(i+1) * 1_000_000 }

func threadOf(i int) exporters.Thread {
	return exporters.Thread{ID: int64(i%3) + 1, Name: []string{"worker-1", "worker-2", Hostile}[i%3], Known: true}
}

func spans(n int) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		for i := range n {
			root := uint64(i)*10 + 1
			base := exporters.Span{Root: root, Thread: threadOf(i), CPU: exporters.CPU{ID: i % 2, Known: true}}
			read, open, serve := base, base, base
			open.ID, open.Parent, open.Name, open.Start, open.End = root+1, root, "vfs_open", start(i)+1000, start(i)+11_000
			open.Attrs = []exporters.Attr{exporters.String("path", fmt.Sprintf("/archive/%d.txt", i%10)), exporters.Int("flags", -3)}
			read.ID, read.Parent, read.Name, read.Start, read.End = root+2, root, "vfs_read", start(i)+20_000, start(i)+220_000
			read.Attrs = []exporters.Attr{exporters.Uint("len", 1<<63), exporters.Pointer("buf", 0xffff800000001000), exporters.Bool("ukdbg.ambiguous", true)}
			serve.ID, serve.Name, serve.Start, serve.End = root, "request_serve", start(i), start(i)+400_000
			serve.Attrs = []exporters.Attr{exporters.String("path", Hostile)}
			serve.Flows = []uint64{root}
			if i%5 == 4 {
				serve.Err, serve.ErrType, serve.ErrText = true, "request_serve_err", "error=-22 "+Hostile
			}
			for _, s := range []exporters.Span{open, read, serve} {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// events are the wake-ups, and with all the begins and ends of the spans too.
func events(n int, all bool) iter.Seq2[exporters.Event, error] {
	return func(yield func(exporters.Event, error) bool) {
		for i := range n {
			e := exporters.Event{Thread: threadOf(i), CPU: exporters.CPU{ID: i % 2, Known: true}}
			wake, done := e, e
			wake.Name, wake.Time, wake.Flows = "sched_wakeup", start(i)-1000, []uint64{uint64(i)*10 + 1}
			wake.Attrs = []exporters.Attr{exporters.String("name", Hostile), exporters.Pointer("thread", 0xdeadbeef), exporters.Uint("flags", uint64(i))}
			begin, end := e, e
			begin.Name, begin.Time = "request_serve", start(i)
			begin.Attrs = []exporters.Attr{exporters.Int("id", -int64(i)), exporters.String("path", Hostile)}
			end.Name, end.Time = "request_serve_ret", start(i)+400_000
			done.Name, done.Time = "free", start(i)+500_000
			list := []exporters.Event{wake, done}
			if all {
				list = []exporters.Event{wake, begin, end, done}
			}
			for _, ev := range list {
				if !yield(ev, nil) {
					return
				}
			}
		}
	}
}
