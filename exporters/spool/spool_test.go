package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ukdbg/ukdbg/internal/smalldisk"
)

func mustOpen(t *testing.T, dir string, limit int64) *Spool {
	t.Helper()
	s, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustAdd(t *testing.T, s *Spool, payload string) Number {
	t.Helper()
	n, err := s.Add(Batch{Kind: 3, Items: 7, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKeptAcrossProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "spool")
	s := mustOpen(t, dir, 0)
	first, second := mustAdd(t, s, "one"), mustAdd(t, s, "")
	third := mustAdd(t, s, "three")
	if err := s.Remove(second); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 0); !errors.Is(err, ErrInUse) {
		t.Errorf("a second user: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"x.batch": "", "unfinished": "UKSP", "00000000000000000009.batch.refused": "old"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, dir, 0)
	defer s.Close()
	if kept := s.Kept(); len(kept) != 2 || kept[0] != first || kept[1] != third {
		t.Fatalf("kept %v", kept)
	}
	if b, err := s.Read(third); err != nil || b.Kind != 3 || b.Items != 7 || string(b.Payload) != "three" {
		t.Errorf("%+v %v", b, err)
	}
	if n := mustAdd(t, s, "four"); n != 10 {
		t.Errorf("the next number is %d, of one that is set aside or more", n)
	}
	if info, err := os.Stat(s.path(first)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// What is set aside counts against the limit, and gives way.
func TestLimit(t *testing.T) {
	const limit = 4 * block
	s := mustOpen(t, t.TempDir(), limit)
	defer s.Close()
	text := string(bytes.Repeat([]byte("x"), 100))
	for range 3 {
		if _, err := s.SetAside(mustAdd(t, s, text), "refused"); err != nil {
			t.Fatal(err)
		}
	}
	files := func() (n int, bytes int64) {
		all, err := filepath.Glob(filepath.Join(s.Dir(), "*.batch*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			bytes += room(info.Size())
		}
		return len(all), bytes
	}
	for i := range 4 {
		mustAdd(t, s, text)
		if n, size := files(); n > 4 || size > limit || i == 0 && n != 4 {
			t.Errorf("%d files of %d bytes", n, size)
		}
	}
	if _, err := s.Add(Batch{Payload: []byte(text)}); !errors.Is(err, ErrFull) {
		t.Errorf("above the limit: %v", err)
	}
	if n, size := s.Waiting(); n != 4 || size != limit {
		t.Errorf("%d batches of %d bytes wait", n, size)
	}
}

// A full disk is told, leaves nothing half written, and is not for ever.
func TestFullDisk(t *testing.T) {
	s := mustOpen(t, t.TempDir(), 0)
	defer s.Close()
	n := mustAdd(t, s, "before")
	if err := os.Symlink("/dev/full", filepath.Join(s.Dir(), unfinished)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(Batch{Payload: []byte("lost")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	after := mustAdd(t, s, "after")
	for n, want := range map[Number]string{n: "before", after: "after"} {
		if b, err := s.Read(n); err != nil || string(b.Payload) != want {
			t.Errorf("%q %v", b.Payload, err)
		}
	}
	if waiting, _ := s.Waiting(); waiting != 2 {
		t.Errorf("%d wait", waiting)
	}
}

func TestDamageIsFound(t *testing.T) {
	s := mustOpen(t, t.TempDir(), 0)
	defer s.Close()
	n := mustAdd(t, s, "some text")
	good, err := os.ReadFile(s.path(n))
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if err := os.WriteFile(s.path(n), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(n); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
		if err := os.WriteFile(s.path(n), good[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(n); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(Batch{Kind: 1, Items: 2, Payload: []byte("abc")}))
	f.Add([]byte("UKSP"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		check := func(data []byte) {
			b, err := decode(data)
			if err == nil && (b.Items < 0 || !bytes.Equal(encode(b), data)) {
				t.Errorf("%+v of % x", b, data)
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
		}
		check(data)
		// Behind the checksum too.
		if sealed := bytes.Clone(data); len(sealed) >= 8 {
			copy(sealed, magic)
			binary.LittleEndian.PutUint32(sealed[4:], crc32.ChecksumIEEE(sealed[8:]))
			check(sealed)
		}
	})
}

// A folder that a full disk has no room for is made with the first batch that fits;
// what else keeps it from being made is an error at once.
func TestOpenLater(t *testing.T) {
	disk := smalldisk.Make(t, 1<<20)
	disk.FillNames(t)
	dir := filepath.Join(disk.Dir, "spool")
	if s, err := Open(dir, 0); !errors.Is(err, syscall.ENOSPC) || s != nil {
		t.Fatalf("%v, %v", s, err)
	}
	s, err := OpenLater(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := Batch{Kind: 1, Items: 2, Payload: []byte("three")}
	if _, err := s.Add(b); !errors.Is(err, syscall.ENOSPC) || !errors.Is(s.Pending(), syscall.ENOSPC) || len(s.Kept()) > 0 {
		t.Errorf("%v, pending: %v", err, s.Pending())
	}
	disk.Empty(t)
	n, err := s.Add(b)
	if err != nil || s.Pending() != nil {
		t.Fatalf("with room: %v, pending: %v", err, s.Pending())
	}
	if got, err := s.Read(n); err != nil || string(got.Payload) != "three" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Open(dir, 0); !errors.Is(err, ErrInUse) {
		t.Errorf("another takes it, too: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(disk.Dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLater(filepath.Join(file, "spool"), 0); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}
