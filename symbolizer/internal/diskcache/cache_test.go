package diskcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func keep(t testing.TB, d Dir, key Key, name, text string) {
	t.Helper()
	c := d.Open(key)
	c.Offer(name, func() []byte { return []byte(text) })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func value1(d Dir, key Key, name string) string {
	c := d.Open(key)
	defer c.Close()
	return string(c.Get(name))
}

func TestValuesAreKept(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "a", "ukdbg")}
	keep(t, d, Key{1}, "one.1", "first")
	keep(t, d, Key{1}, "two.1", "second")
	keep(t, d, Key{2}, "one.1", "of another key")
	keep(t, d, Key{1}, "two.1", "second again")
	for _, c := range []struct {
		key  Key
		name string
		want string
	}{
		{Key{1}, "one.1", "first"}, {Key{1}, "two.1", "second again"}, {Key{2}, "one.1", "of another key"},
		{Key{1}, "one.2", ""}, {Key{3}, "one.1", ""},
	} {
		if got := value1(d, c.key, c.name); got != c.want {
			t.Errorf("%s of %x: %q, want %q", c.name, c.key[0], got, c.want)
		}
	}
	st, err := os.Stat(d.Path)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", st.Mode(), err)
	}
	if s := d.Status(); s.Files != 2 || s.Bytes == 0 || s.Error != "" {
		t.Errorf("status %+v", s)
	}
}

// TestNothingOfferedWritesNothing: a process that found all it needed leaves the
// folder alone.
func TestNothingOfferedWritesNothing(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "c")}
	c := d.Open(Key{1})
	c.Offer("x", func() []byte { return nil })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}

// TestDamage changes and cuts every byte of a file: a value is what was kept, or
// it is not there.
func TestDamage(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	key := Key{7}
	c := d.Open(key)
	want := map[string]string{"one.1": "some text", "two.1": "other text"}
	for name, text := range want {
		c.Offer(name, func() []byte { return []byte(text) })
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(d.file(key))
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	try := func(data []byte, what string) {
		if err := os.WriteFile(d.file(key), data, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			switch got := value1(d, key, name); got {
			case "":
				lost++
			case text:
			default:
				t.Errorf("%s: %s is %q", what, name, got)
			}
		}
		keep(t, d, key, "new.1", "new") // and a damaged file is written anew
		if value1(d, key, "new.1") != "new" {
			t.Errorf("%s: the file cannot be replaced", what)
		}
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x40
		try(damaged, fmt.Sprintf("byte %d", i))
		try(whole[:i], fmt.Sprintf("cut at %d", i))
	}
	if lost == 0 {
		t.Error("no damage was noticed")
	}
}

// TestOthersMayWrite: what somebody else could have put there is not read.
func TestOthersMayWrite(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	keep(t, d, Key{1}, "one.1", "text")
	if err := os.Chmod(d.file(Key{1}), 0o622); err != nil {
		t.Fatal(err)
	}
	if got := value1(d, Key{1}, "one.1"); got != "" {
		t.Errorf("read %q", got)
	}
	if err := os.Chmod(d.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	c := d.Open(Key{2})
	c.Offer("one.1", func() []byte { return []byte("text") })
	if err := c.Close(); !errors.Is(err, errUnsafe) {
		t.Errorf("writing: %v", err)
	}
	if s := d.Status(); s.Error == "" {
		t.Error("the status tells of no error")
	}
}

// TestManyWriters: readers see whole files while writers replace them.
func TestManyWriters(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				text := bytes.Repeat([]byte{byte('a' + w)}, 1000+i)
				c := d.Open(Key{1})
				c.Offer("one.1", func() []byte { return text })
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				got := value1(d, Key{1}, "one.1")
				if got == "" || got != string(bytes.Repeat([]byte{got[0]}, len(got))) {
					t.Errorf("read %.20q…", got)
				}
			}
		})
	}
	wg.Wait()
	if s := d.Status(); s.Files != 1 {
		t.Errorf("%d files are left", s.Files)
	}
}

// TestEviction: the folder stays within its limit, what was used last stays, and
// what writers left that died goes.
func TestEviction(t *testing.T) {
	d := Dir{Path: t.TempDir(), Limit: 10_000}
	dead := filepath.Join(d.Path, "new-1.tmp")
	if err := os.WriteFile(dead, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(dead, old, old); err != nil {
		t.Fatal(err)
	}
	text := string(make([]byte, 3000))
	for i := range 3 {
		keep(t, d, Key{byte(i)}, "one.1", text)
		at := old.Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(d.file(Key{byte(i)}), at, at); err != nil {
			t.Fatal(err)
		}
	}
	value1(d, Key{0}, "one.1") // the oldest is used again
	keep(t, d, Key{9}, "one.1", text)
	for i, want := range map[byte]bool{0: true, 1: false, 2: true, 9: true} {
		if got := value1(d, Key{i}, "one.1") != ""; got != want {
			t.Errorf("file %d is there: %v", i, got)
		}
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("the dead writer's file is still there")
	}
}

// TestTooBig keeps nothing rather than half.
func TestTooBig(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	c := d.Open(Key{1})
	c.Offer("big.1", func() []byte { return make([]byte, maxFile) })
	if err := c.Close(); !errors.Is(err, errTooBig) {
		t.Errorf("%v", err)
	}
	if s := d.Status(); s.Files != 0 {
		t.Errorf("%+v", s)
	}
}

// FuzzDirectory reads heads of files that may be anything.
func FuzzDirectory(f *testing.F) {
	d := Dir{Path: f.TempDir()}
	keep(f, d, Key{}, "one.1", "text")
	whole, err := os.ReadFile(d.file(Key{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:headerSize])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		check := func(data []byte) {
			have, ok := directory(data, Key{})
			if !ok {
				return
			}
			if len(have) > maxValues {
				t.Fatalf("%d values", len(have))
			}
			c := Cache{have: have}
			for i := range have {
				if b := c.Get(have[i].name); len(b) > len(data) {
					t.Fatalf("%d bytes of %d", len(b), len(data))
				}
			}
		}
		check(data)
		// Behind the checksum too.
		if len(data) < headerSize {
			return
		}
		sealed := bytes.Clone(data)
		copy(sealed, magic)
		clear(sealed[8:40])
		if n := int(binary.LittleEndian.Uint32(sealed[40:])); n <= maxValues && headerSize+n*entrySize <= len(sealed) {
			binary.LittleEndian.PutUint32(sealed[44:], headSum(sealed[:headerSize+n*entrySize]))
		}
		check(sealed)
	})
}
