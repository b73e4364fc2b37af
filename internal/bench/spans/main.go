// Command spans measures how fast ukdbg makes OTLP bytes of spans. It is the one
// side of a comparison; internal/bench/otelsdk, with the same spans, is the other.
//
// Usage: spans N. It prints spans, bytes, and CPU seconds of the process.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
)

// prepared is how many different spans there are; they come again and again
// with other numbers and times.
const prepared = 3000

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = run(n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "spans:", err)
		os.Exit(1)
	}
}

func run(n int) error {
	var list []exporters.Span
	for i := range prepared {
		s := exporters.Span{
			Name: "vfs_read", Thread: exporters.Thread{ID: int64(i % 4), Name: "worker-" + strconv.Itoa(i%4), Known: true},
			Attrs: []exporters.Attr{exporters.Int("fd", int64(i%64)), exporters.Int("len", 512), exporters.String("path", "/archive/"+strconv.Itoa(i%100)+".txt")},
		}
		if i%3 == 2 {
			s.Name = "request_serve"
			s.Err, s.ErrType, s.ErrText = i%15 == 14, "request_serve_err", "error=-22"
		}
		list = append(list, s)
	}
	clock, err := exporters.NewClock(exporters.Segment{Offset: 1_700_000_000_000_000_000, Uncertainty: 1000})
	if err != nil {
		return err
	}
	opt := otlp.Options{Resource: otlp.Resource{ServiceName: "shop", InstanceID: "bench", HostArch: "amd64"}, Clock: clock}
	before := cpu()
	stats, err := otlp.Write(io.Discard, otlp.Protobuf, func(yield func(exporters.Span, error) bool) {
		for i := range n {
			s := list[i%prepared]
			// Two reads end before the request around them.
			root := uint64(i-i%3) + 1
			s.ID, s.Root, s.Start, s.End = root+uint64(i%3)+1, root, int64(i)*1000, int64(i)*1000+800
			if i%3 == 2 {
				s.ID = root
			} else {
				s.Parent = root
			}
			if !yield(s, nil) {
				return
			}
		}
	}, opt)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%d %d %.3f\n", stats.Spans, stats.Bytes, cpu()-before)
	return err
}

// cpu is the seconds of processor time this process took so far.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
