package asserts

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const oneAssert = "[    0.133086] CRIT: [appfault] <main.c @   13> Assertion failure: "

// TestFollow: each report of a growing log is told soon after it was written,
// through a truncation and a rotation, and the end of ctx ends it.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	write := func(flag int, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	write(0, "booting\n"+oneAssert+"first\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := Follow(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sc := NewScanner(QuietAfter(ctx, r, 200*time.Millisecond))
	expect := func(want string, line int64) {
		t.Helper()
		if !sc.Scan() {
			t.Fatalf("no report, %v; want %q", sc.Err(), want)
		}
		if f := sc.Fault(); f.Reason != "assertion failed: "+want || f.Source.FirstLine != line {
			t.Fatalf("%q at line %d, want %q at %d", f.Reason, f.Source.FirstLine, want, line)
		}
	}
	expect("first", 2)
	write(os.O_APPEND, oneAssert+"second\nhalf a line")
	expect("second", 3)
	write(os.O_TRUNC, oneAssert+"truncated\n")
	expect("truncated", 5)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	// What the writer still had is read first.
	old, err := os.OpenFile(path+".1", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.WriteString(oneAssert + "before the rotation\n"); err != nil {
		t.Fatal(err)
	}
	old.Close()
	expect("before the rotation", 6)
	write(0, oneAssert+"rotated\n")
	expect("rotated", 7)
	time.AfterFunc(50*time.Millisecond, cancel)
	if sc.Scan() || sc.Err() != nil {
		t.Errorf("a report after the end, or %v", sc.Err())
	}
}

// TestQuiet: a pause is said once, and no byte is lost around it.
func TestQuiet(t *testing.T) {
	pr, pw := io.Pipe()
	q := QuietAfter(t.Context(), pr, 20*time.Millisecond)
	go func() {
		pw.Write([]byte("one"))
		time.Sleep(150 * time.Millisecond)
		pw.Write([]byte("two"))
		pw.Close()
	}()
	var got []byte
	quiet := 0
	for {
		b := make([]byte, 2)
		n, err := q.Read(b)
		got = append(got, b[:n]...)
		if err == ErrQuiet {
			quiet++
			continue
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != "onetwo" || quiet < 1 || quiet > 2 {
		t.Errorf("%q, quiet %d times", got, quiet)
	}
}
