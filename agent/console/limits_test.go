package console

import (
	"bytes"
	"compress/gzip"
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

// Compressed files that hold far more than they take up, a hundred of them, cost as
// much as may be unpacked of all together: while a place is looked for in them, and
// while they are read. What the log itself has is found soon.
func TestCompressedInSum(t *testing.T) {
	const one, most = 8 << 20, 20 << 20
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), one>>6)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bombs := func(l *log, name string) {
		t.Helper()
		for i := range 100 {
			if err := os.WriteFile(fmt.Sprint(l.path, ".", name, i, ".gz"), z.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := newLog(t)
	limits := func(o *Options) { o.Limits = Limits{Unpack: most, BytesPerSecond: 64 << 20} }
	state := t.TempDir()
	l.append(strings.Repeat("up\n", 3<<20) + assertion("before")) // 9 MiB: its place is behind all that a bomb holds
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := l.follow(ctx, state, limits)
	want(t, f, "before")
	// It is rotated while it is followed.
	l.move(".1")
	bombs(l, "a")
	l.append(assertion("behind them"))
	want(t, f, "behind them")
	if f.unpacked > most {
		t.Errorf("%d bytes were unpacked, at most %d may be", f.unpacked, most)
	}
	if s := f.Stats(); s.Gaps < 90 || s.Bytes > 40<<20 {
		t.Errorf("%+v", s)
	}
	l.append(assertion("at the end"))
	want(t, f, "at the end")
	f.Close()

	// It is rotated while nobody follows, and the place is in none of them.
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	bombs(l, "b")
	l.append(assertion("the next"))
	g := l.follow(ctx, state, limits)
	defer g.Close()
	if g.unpacked > most {
		t.Errorf("%d bytes were unpacked while the place was looked for, at most %d may be", g.unpacked, most)
	}
	want(t, g, "the next")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// More rotated files of one time than are remembered as read keep nobody from the log.
func TestManyOfOneTime(t *testing.T) {
	l := newLog(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l.append(assertion("before"))
	f := l.follow(ctx, "")
	defer f.Close()
	want(t, f, "before")
	at := time.Now().Add(time.Hour)
	for i := range 2 * maxKnown {
		name := fmt.Sprint(l.path, ".", i+2)
		if err := os.WriteFile(name, []byte("nothing\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	l.move(".1")
	l.append(assertion("behind them"))
	want(t, f, "behind them")
	if s := f.Stats(); s.Gaps == 0 {
		t.Errorf("that not all could be told apart is not counted: %+v", s)
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
