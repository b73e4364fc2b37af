package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A flood of reports is counted, not returned.
func TestFloodOfReports(t *testing.T) {
	l := newLog(t)
	var b strings.Builder
	const reports = 10_000
	for i := range reports {
		b.WriteString(assertion(fmt.Sprint("flood ", i)))
	}
	l.append(b.String())
	f := l.follow(t.Context(), t.TempDir(), func(o *Options) { o.Limits = Limits{Burst: 10, PerMinute: 1} })
	defer f.Close()
	for range 10 {
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}
	f.End()
	if _, err := f.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if s := f.Stats(); s.Reports+s.Suppressed != reports || s.Reports > 11 {
		t.Errorf("%+v", s)
	}
}

// A log that grows faster than it may be read is passed where it lags too far
// behind, in little memory, and what comes at its end is found.
func TestOneLongLine(t *testing.T) {
	l := newLog(t)
	const size = 64 << 20
	file, err := os.Create(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range size >> 20 {
		if _, err := file.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	l.append("\n" + assertion("at the end"))
	f := l.follow(t.Context(), "", func(o *Options) { o.Limits = Limits{Behind: 8 << 20, BytesPerSecond: 64 << 20} })
	defer f.Close()
	want(t, f, "at the end")
	if s := f.Stats(); s.Skipped < size/2 || s.Bytes+s.Skipped < size {
		t.Errorf("%+v", s)
	}
}

// A writer that goes on at its old offset behind a truncation, as QEMU does
// without append=on, leaves a hole, which costs nothing.
func TestHole(t *testing.T) {
	l := newLog(t)
	file, err := os.Create(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(text string) {
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write(assertion("before"))
	f := l.follow(t.Context(), "", func(o *Options) { o.Limits = Limits{BytesPerSecond: 1 << 20} })
	defer f.Close()
	want(t, f, "before")
	l.copyTruncate(".1")
	if _, err := file.Seek(20<<30, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	write(assertion("behind a hole"))
	want(t, f, "behind a hole")
	if s := f.Stats(); s.Gaps != 0 || s.Skipped != 0 {
		t.Errorf("%+v", s)
	}
}

// Followers of silent logs use no CPU to speak of, and those of a log that spoke
// once keep little memory.
func TestIdle(t *testing.T) {
	w := NewWatcher()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const logs = 200
	done := make(chan struct{}, logs)
	for range logs {
		l := newLog(t)
		l.append("booting\nno newline at the end")
		f := l.follow(ctx, t.TempDir(), func(o *Options) { o.Watcher = w })
		go func() {
			f.Next()
			f.Close()
			done <- struct{}{}
		}()
	}
	time.Sleep(2 * time.Second)
	before := cpu(t)
	const took = 3 * time.Second
	time.Sleep(took)
	used := cpu(t) - before
	t.Logf("%d logs: %.2f %% of a core", logs, 100*float64(used)/float64(took))
	if used > took/20 {
		t.Errorf("%v of CPU in %v", used, took)
	}
	cancel()
	for range logs {
		<-done
	}
}

func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
