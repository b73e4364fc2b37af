package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/smalldisk"
)

// assertion is a report of one line, and what makes it complete.
func assertion(text string) string {
	return "[    0.133086] CRIT: [appfault] <main.c @   13> Assertion failure: " + text + "\n" +
		"[    0.133090] Info: [libukboot] <shutdown_req.c @   92> Unikraft halted\n"
}

// log is a console that a test writes.
type log struct {
	t    *testing.T
	path string
}

func newLog(t *testing.T) *log { return &log{t, filepath.Join(t.TempDir(), "console.log")} }

func (l *log) write(flag int, text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|flag, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
	f.Close()
}

func (l *log) append(text string) { l.t.Helper(); l.write(os.O_APPEND, text) }

func (l *log) move(to string) {
	l.t.Helper()
	if err := os.Rename(l.path, l.path+to); err != nil {
		l.t.Fatal(err)
	}
}

// copyTruncate is logrotate's copytruncate.
func (l *log) copyTruncate(to string) {
	l.t.Helper()
	b, err := os.ReadFile(l.path)
	if err == nil {
		err = os.WriteFile(l.path+to, b, 0o600)
	}
	if err == nil {
		err = os.Truncate(l.path, 0)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

const testQuiet = 150 * time.Millisecond

func (l *log) follow(ctx context.Context, state string, more ...func(*Options)) *Follower {
	l.t.Helper()
	opt := Options{Source: Source{Path: l.path}, State: state, Quiet: testQuiet, Limits: Limits{Burst: 1000}}
	for _, m := range more {
		m(&opt)
	}
	f, err := Follow(ctx, opt)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

func want(t *testing.T, f *Follower, reason string) Fault {
	t.Helper()
	got, err := f.Next()
	if err != nil {
		t.Fatalf("%v instead of %q; %+v", err, reason, f.Stats())
	}
	if got.Report.Reason != "assertion failed: "+reason {
		t.Fatalf("%q instead of %q; %+v", got.Report.Reason, reason, f.Stats())
	}
	return got
}

// Each way in which a log becomes another one, with its follower alive.
func TestFollow(t *testing.T) {
	l := newLog(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	f := l.follow(ctx, "")
	defer f.Close()
	time.AfterFunc(100*time.Millisecond, func() { l.append("booting\n" + assertion("first")) })
	want(t, f, "first")
	l.append(assertion("second") + "half a line")
	want(t, f, "second")

	// Copied and truncated, with something unread in the copy, and a longer text
	// in its place.
	l.append("\n" + assertion("in the copy"))
	l.copyTruncate(".1")
	l.append("a text that is longer than all that there has been before" + fmt.Sprint(make([]byte, 400)) + "\n" + assertion("after the copy"))
	want(t, f, "in the copy")
	want(t, f, "after the copy")

	// Truncated.
	l.write(os.O_TRUNC, assertion("truncated"))
	want(t, f, "truncated")

	// Renamed; who writes it goes on for a while, then another takes its place.
	l.move(".2")
	old := &log{t, l.path + ".2"}
	old.append(assertion("under the old name"))
	l.append("")
	want(t, f, "under the old name")
	old.append(assertion("once more"))
	l.append(assertion("under the new name"))
	want(t, f, "once more")
	want(t, f, "under the new name")

	// Deleted and made again, twice between two looks.
	l.move(".3")
	l.append(assertion("in between"))
	l.move(".4")
	l.append(assertion("deleted later"))
	want(t, f, "in between")
	want(t, f, "deleted later")
	os.Remove(l.path)
	l.append(assertion("made again"))
	want(t, f, "made again")

	l.append("CRIT: [appfault] <main.c @   13> Assertion failure: cut off")
	time.Sleep(100 * time.Millisecond)
	f.End()
	want(t, f, "cut off")
	if _, err := f.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v at the end", err)
	}
	if s := f.Stats(); s.Reports != 12 || s.Gaps != 1 || s.Problem != "" {
		t.Errorf("%+v", s)
	}
}

// What is kept of a console can be listed, and the rest of one whose guest ended
// meanwhile be read.
func TestRecall(t *testing.T) {
	l := newLog(t)
	dir := filepath.Join(t.TempDir(), "state")
	ctx, cancel := context.WithCancel(t.Context())
	l.append(assertion("while it is followed"))
	f := l.follow(ctx, dir, func(o *Options) { o.Meta = []byte(`{"guest":"shop"}`) })
	first := want(t, f, "while it is followed")
	cancel()
	if _, err := f.Next(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	f.Close()
	l.append(assertion("when nobody looks"))
	for _, path := range []string{dir, statePath(dir, l.path)} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
	}
	list, err := Recall(dir)
	if err != nil || len(list) != 1 || string(list[0].Meta) != `{"guest":"shop"}` || list[0].Source.Path != l.path {
		t.Fatalf("%+v, %v", list, err)
	}
	g, err := Follow(t.Context(), Options{Source: list[0].Source, State: dir, Quiet: testQuiet})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	g.End()
	// Next was called since, so the first is not returned again.
	if second := want(t, g, "when nobody looks"); second.ID == first.ID || second.Generation != first.Generation || second.Offset <= first.Offset {
		t.Errorf("%+v %+v", first, second)
	}
	if _, err := g.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	// The next guest may append to the same log: the place outlives the first.
	l.append(assertion("by the next guest"))
	h := l.follow(t.Context(), dir)
	defer h.Close()
	want(t, h, "by the next guest")
	// A log that is gone is remembered for a day.
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	if list, err := Recall(dir); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	old := time.Now().Add(-keepGone - time.Hour)
	if err := os.Chtimes(statePath(dir, l.path), old, old); err != nil {
		t.Fatal(err)
	}
	if list, err := Recall(dir); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// A state file that is damaged is as none.
func TestDamagedState(t *testing.T) {
	l := newLog(t)
	dir := t.TempDir()
	l.append(assertion("once"))
	if err := os.WriteFile(statePath(dir, l.path), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := l.follow(t.Context(), dir)
	defer f.Close()
	want(t, f, "once")
}

// A disk without room for the place keeps nobody from reading on; when there is room
// again the place is kept, though nothing is written any more.
func TestFullDisk(t *testing.T) {
	disk := smalldisk.Make(t, 64<<10)
	l := newLog(t)
	l.append("up\n")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	state := filepath.Join(disk.Dir, "state")
	f := l.follow(ctx, state)
	l.append(assertion("with room"))
	want(t, f, "with room")
	disk.Fill(t)
	l.append(assertion("without room"))
	want(t, f, "without room")
	l.append(assertion("without room again"))
	want(t, f, "without room again") // the place before it could not be kept
	if s := f.Stats(); !strings.Contains(s.Unkept, syscall.ENOSPC.Error()) || s.Problem != "" {
		t.Errorf("%+v", s)
	}
	read := make(chan error, 1)
	go func() {
		_, err := f.Next()
		read <- err
	}()
	time.Sleep(2 * testQuiet)
	disk.Empty(t)
	for end := time.Now().Add(time.Minute); f.Stats().Unkept != ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the place is not kept though there is room: %+v", f.Stats())
		}
	}
	cancel()
	if err := <-read; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	g := l.follow(ctx, state)
	defer g.Close()
	g.End()
	if fault, err := g.Next(); err != io.EOF {
		t.Errorf("what was taken care of comes again: %+v, %v", fault, err)
	}
}

// A place that the disk does not take is remembered as long as the process lives: the
// next follower of the log goes on there, and keeps it when there is room.
func TestPlaceWithoutDisk(t *testing.T) {
	disk := smalldisk.Make(t, 1<<20)
	disk.FillNames(t)
	l := newLog(t)
	l.append("up\n")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	state, places := filepath.Join(disk.Dir, "state"), &Places{}
	with := func(o *Options) { o.Places = places }
	f := l.follow(ctx, state, with)
	l.append(assertion("one"))
	want(t, f, "one")
	f.End()
	if _, err := f.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if s := f.Stats(); !strings.Contains(s.Unkept, syscall.ENOSPC.Error()) {
		t.Errorf("%+v", s)
	}
	f.Close()
	l.append(assertion("two"))
	g := l.follow(ctx, state, with)
	want(t, g, "two")
	disk.Empty(t)
	l.append(assertion("three"))
	want(t, g, "three")
	g.End()
	if _, err := g.Next(); err != io.EOF {
		t.Fatal(err)
	}
	g.Close()
	h := l.follow(ctx, state) // of another process
	defer h.Close()
	l.append(assertion("four"))
	want(t, h, "four")
	if len(places.by) != 0 {
		t.Errorf("what the disk has is remembered in memory, too: %v", places.by)
	}
}

// Where a console was first followed from its end, nothing from before that comes when
// it is followed again.
func TestFromEndTwice(t *testing.T) {
	for _, state := range []string{"", t.TempDir()} {
		l := newLog(t)
		l.append(assertion("before"))
		places := &Places{}
		fromEnd := func(o *Options) { o.FromEnd, o.Places = true, places }
		l.follow(t.Context(), state, fromEnd).Close()
		l.append(assertion("behind"))
		f := l.follow(t.Context(), state, fromEnd)
		want(t, f, "behind")
		f.End()
		if _, err := f.Next(); err != io.EOF {
			t.Error(err)
		}
		f.Close()
	}
}

// A report that is being written when its log is said to have ended, by the next guest
// of the log, is not cut in two.
func TestEndWithinReport(t *testing.T) {
	l := newLog(t)
	text := "[    0.1] CRIT: [appfault] <main.c @   13> Unhandled page fault at 0x10, error code=0x2\n"
	l.append(text[:40])
	f := l.follow(t.Context(), "")
	defer f.Close()
	f.End()
	time.AfterFunc(testQuiet/3, func() { l.append(text[40:]) })
	fault, err := f.Next()
	if err != nil || fault.Offset != 0 {
		t.Fatalf("%+v, %v", fault, err)
	}
	if _, err := f.Next(); err != io.EOF {
		t.Error(err)
	}
}
