package renewed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// pair is a value of two files that belong together.
func pair(t *testing.T) (a, b string, read *int, v *Value[string], err error) {
	t.Helper()
	dir := t.TempDir()
	a, b = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	read = new(int)
	v, err = Read(func() (string, error) {
		*read++
		x, err := os.ReadFile(a)
		if err != nil {
			return "", err
		}
		y, err := os.ReadFile(b)
		if err == nil && string(x) != string(y) {
			err = errors.New("they do not fit")
		}
		return string(x), err
	}, a, b)
	return a, b, read, v, err
}

func want(t *testing.T, v *Value[string], value, news string) {
	t.Helper()
	if got, err := v.Get(); got != value || err != nil {
		t.Errorf("%q, %v; want %q", got, err, value)
	}
	if got := v.News(); news == "" && got != "" || !strings.Contains(got, news) {
		t.Errorf("news %q, want %q", got, news)
	}
}

// A pair that is renewed one after the other keeps the old one in force meanwhile, and
// says so once.
func TestRenewed(t *testing.T) {
	a, b, read, v, err := pair(t)
	if _, gerr := v.Get(); err == nil || gerr == nil {
		t.Fatalf("files that are not there: %v, %v", err, gerr)
	}
	write(t, a, "1")
	write(t, b, "1")
	want(t, v, "1", "read again, and in force")
	n := *read
	for range 10 {
		want(t, v, "1", "")
	}
	if *read != n {
		t.Errorf("read %d times more, though nothing changed", *read-n)
	}
	write(t, b, "2")
	want(t, v, "1", "they do not fit; what was in force stays")
	want(t, v, "1", "")
	if err := v.Failing(); err == nil || !strings.Contains(err.Error(), b) {
		t.Errorf("failing: %v", err)
	}
	write(t, a, "2")
	want(t, v, "2", "read again, and in force")
	if err := v.Failing(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	want(t, v, "2", "no such file or directory; what was in force stays")
}

// What fails for another reason than the files' content is tried again.
func TestTriedAgain(t *testing.T) {
	fails := errors.New("not now")
	v, err := Read(func() (int, error) { return 7, fails })
	if !errors.Is(err, fails) {
		t.Fatal(err)
	}
	fails = nil
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if got, err := v.Get(); err == nil && got == 7 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not tried again")
		}
	}
}
