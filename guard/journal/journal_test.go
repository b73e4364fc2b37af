package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func begin() Begin {
	return Begin{
		Spec: "unix:/run/vm.gdb", Client: Process{PID: 42, Start: 1234}, Created: time.Unix(0, 1700000000123456789),
		Verb: "attach", MaxPause: 2 * time.Millisecond, Monitor: "/run/vm.mon", Arch: "x86_64",
	}
}

// all has one of each record.
func all() []Record {
	bp := Break{Addr: 0x101350, Len: 1, Orig: []byte{0x55}}
	watch := Break{Kind: 2, Addr: 1 << 63, Len: 8}
	return []Record{
		Guarded{Process{43, 1235}},
		Identified{VMM{Process: Process{44, 99}, Comm: "qemu", Name: "vm", UUID: "u", Monitors: []Monitor{{"/m", "qmp"}, {"/h", "hmp"}}, GDB: []string{"tcp:127.0.0.1:1"}}},
		Connecting{12345},
		Heard{[]byte("$T02thread:01;#04")},
		Attached{QEMU: true, Question: "q", Answer: "a", Found: Running, LeaveRunning: true},
		Insert{bp}, Insert{watch}, Remove{watch}, Insert{bp},
		Resume{}, Resumed{}, Interrupt{}, Heard{[]byte("$T05")}, Stopped{LeaveRunning: false},
		MemoryChanged{Memory{0x2000, []byte{1, 2, 3}}}, MemoryChanged{Memory{0x3000, []byte{4}}}, MemoryBack{},
		RegisterChanged{Register{1, 16, 0xffff}}, RegisterChanged{Register{0, 0, 1}}, RegisterBack{},
		Kept{0x4000, 4}, Kept{0x4000, 4},
		TempOpened{TempStub{Monitor: Monitor{"/m", "qmp"}, Dir: "/d", Socket: "/d/gdb", Found: Paused, Status: "paused (prelaunch)"}},
		Setting{Monitor{"/m", "hmp"}, []string{"a", "b"}}, Setting{Monitor{"/m", "hmp"}, nil}, SettingBack{},
		Resume{Step: true},
	}
}

func write(t *testing.T, path string, list []Record) *Writer {
	t.Helper()
	w, err := Create(path, begin())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if err := w.Append(r); err != nil {
			t.Fatalf("%T: %v", r, err)
		}
	}
	return w
}

func load(t *testing.T, path string) *State {
	t.Helper()
	st, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// What is read is what the writer believes, after each record.
func TestRoundTrip(t *testing.T) {
	list := all()
	for n := range len(list) + 1 {
		path := filepath.Join(t.TempDir(), "j")
		w := write(t, path, list[:n])
		if got, want := *load(t, path), w.State(); !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d records\n%+v\nwant\n%+v", n, got, want)
		}
		w.Close()
	}
	path := filepath.Join(t.TempDir(), "j")
	st := write(t, path, list).State()
	if len(st.Breaks) != 1 || len(st.Memory) != 1 || len(st.Registers) != 1 || len(st.Kept) != 1 || len(st.Settings) != 1 || st.Temp == nil {
		t.Errorf("%+v", st)
	}
	if !st.Running || !st.Stepping || st.Interrupted || st.LeaveRunning || st.Clean() || st.Sure || st.Heard != nil {
		t.Errorf("%+v", st)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// Death may come in the middle of a write: whatever is cut off, the records
// before it count.
func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	write(t, path, all()).Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for n := range len(whole) + 1 {
		st, size, err := Read(bytes.NewReader(whole[:n]))
		if n < len(Magic) {
			if err != nil || size != 0 || st.Connecting {
				t.Fatalf("%d bytes: %+v, %v", n, st, err)
			}
			continue
		}
		if err != nil || int(size) > n || int(size) < last || st.Torn != (int(size) < n) {
			t.Fatalf("%d bytes: size %d, torn %v, %v", n, size, st.Torn, err)
		}
		last = int(size)
	}
	if _, _, err := Read(strings.NewReader("something else, and of some length")); err != ErrNoJournal {
		t.Errorf("%v", err)
	}
	// A guard goes on behind the last whole record.
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Continue(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(Left{}); err != nil {
		t.Fatal(err)
	}
	if st := load(t, path); !st.Left || st.Torn || st.Stepping {
		t.Errorf("%+v", st)
	}
}

// Hours of stepping leave a small file that adds up to the same.
func TestCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	w := write(t, path, all())
	bp := Break{Addr: 0x1000, Len: 1, Orig: []byte{0x90}}
	most := int64(0)
	for i := range 20_000 {
		bp.Addr = 0x1000 + uint64(i%8)
		for _, r := range []Record{Insert{bp}, Resume{Step: i%3 == 0}, Heard{[]byte("$T05thread:p01.01;#06")}, Stopped{true}, Remove{bp}} {
			if err := w.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		if i%100 == 0 {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, info.Size())
		}
	}
	if most > 2*compactAt {
		t.Errorf("the file grew to %d bytes", most)
	}
	if got, want := *load(t, path), w.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v\nwant\n%+v", got, want)
	}
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("a half-made file is left: %v", err)
	}
}

// Folding and reading again loses nothing, at any point.
func TestCompactEachState(t *testing.T) {
	long := Heard{bytes.Repeat([]byte("noise"), maxRecord/8)}
	list := append(all(), Resumed{}, Interrupt{}, Heard{[]byte("x")}, long, Heard{[]byte("y")}, Detaching{}, Left{})
	for n := range len(list) + 1 {
		path := filepath.Join(t.TempDir(), "j")
		w := write(t, path, list[:n])
		w.mu.Lock()
		err := w.compact()
		w.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := *load(t, path), w.State(); !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d records\n%+v\nwant\n%+v", n, got, want)
		}
		if err := w.Append(Kept{1, 2}); err != nil {
			t.Fatal(err)
		}
		if st := load(t, path); len(st.Kept) == 0 {
			t.Fatal("what was written after the folding is lost")
		}
	}
}

// What cannot be written must not be done, and what was written of it must not
// hide what follows.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{path: "/dev/full", f: full, limit: compactAt}
	if err := w.Append(Insert{}); err == nil || len(w.State().Breaks) != 0 {
		t.Errorf("%v", err)
	}
	var none *Writer
	if none.Append(Left{}) != nil || none.Close() != nil || none.State().Left {
		t.Error("a nil Writer keeps nothing")
	}
}

// A record that no reader would take is refused, and those after it are read.
func TestTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	b := begin()
	b.Verb = strings.Repeat("x", maxRecord)
	if _, err := Create(path, b); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	w, err := Create(path, begin())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for n := maxRecord - 16; n <= maxRecord; n++ {
		if err := w.Append(Heard{Data: make([]byte, n)}); err != nil && !errors.Is(err, ErrTooLong) {
			t.Fatal(err)
		}
	}
	if err := w.Append(Left{}); err != nil {
		t.Fatal(err)
	}
	st := load(t, path)
	if !st.Left || st.Torn || len(st.Heard) == 0 || len(st.Heard) != len(w.State().Heard) {
		t.Errorf("left %v, torn %v, %d bytes heard, the writer has %d", st.Left, st.Torn, len(st.Heard), len(w.State().Heard))
	}
}

func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "j")
	w, err := Create(path, begin())
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range all() {
		if err := w.Append(r); err != nil {
			f.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 1<<20 {
			return
		}
		st, size, err := Read(bytes.NewReader(p))
		if err != nil {
			return
		}
		if size > int64(len(p)) {
			t.Fatalf("size %d of %d", size, len(p))
		}
		if st.Created.IsZero() {
			return // a journal begins with a Begin
		}
		again(t, st)
	})
}

// again writes what was read as a compaction does, and reads it.
func again(t *testing.T, st *State) {
	t.Helper()
	e := enc(Magic)
	for _, r := range st.records() {
		e = frame(e, r)
	}
	want := *st
	want.Torn, want.Skipped = false, 0
	// Nil and empty are the same list.
	want.Heard, want.Breaks, want.Memory = append([]byte(nil), st.Heard...), append([]Break(nil), st.Breaks...), append([]Memory(nil), st.Memory...)
	want.Registers, want.Kept, want.Settings = append([]Register(nil), st.Registers...), append([]Kept(nil), st.Kept...), append([]Setting(nil), st.Settings...)
	if got, size, err := Read(bytes.NewReader(e)); err != nil || size != int64(len(e)) || !reflect.DeepEqual(*got, want) {
		t.Fatalf("%d of %d bytes, %v\n%+v\nwant\n%+v", size, len(e), err, got, want)
	}
}

// FuzzRecords: records whose checksum is right and whose payload is anything. Each is
// its length, one byte, its kind and the payload.
func FuzzRecords(f *testing.F) {
	var seed []byte
	for _, r := range all() {
		body := r.put(enc{byte(r.kind())})
		f.Add(append([]byte{byte(len(body))}, body...))
		seed = append(append(seed, byte(len(body))), body...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 1<<14 {
			return
		}
		file, n := frame(enc(Magic), begin()), 0
		for ; len(p) > 1; n++ {
			body := p[1:][:min(max(1, int(p[0])), len(p)-1)]
			p = p[1+len(body):]
			file = binary.LittleEndian.AppendUint32(file, uint32(len(body)))
			file = append(binary.LittleEndian.AppendUint32(file, crc32.Checksum(body, table)), body...)
		}
		st, size, err := Read(bytes.NewReader(file))
		if err != nil || size != int64(len(file)) || st.Torn || st.Skipped > n {
			t.Fatalf("%d of %d bytes, %+v, %v", size, len(file), st, err)
		}
		again(t, st)
	})
}

func BenchmarkAppend(b *testing.B) {
	w, err := Create(filepath.Join(b.TempDir(), "j"), begin())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := w.Append(Resume{Step: true}); err != nil {
			b.Fatal(err)
		}
	}
}
