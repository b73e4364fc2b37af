package tracebuf

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target"
)

// memory is a guest with one readable range. Step is called before each read.
type memory struct {
	base uint64
	data []byte
	step func(read int)
	n    int
}

func (m *memory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	if m.step != nil {
		m.step(m.n)
	}
	m.n++
	off := addr - m.base
	if off >= uint64(len(m.data)) {
		return 0, &target.FaultError{Addr: addr}
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

const testBase = 0x100000

// newGuest makes a guest whose buffer of size bytes holds records; its pointer
// variables come first.
func newGuest(records []byte, size int) (*memory, Location) {
	m := &memory{base: testBase, data: make([]byte, 16+size)}
	copy(m.data[16:], records)
	loc := Location{Buffer: testBase + 16, Size: uint64(size), Writep: testBase, Free: testBase + 8}
	m.set(loc, len(records), uint64(size-len(records)))
	return m, loc
}

func (m *memory) set(loc Location, used int, free uint64) {
	binary.LittleEndian.PutUint64(m.data, loc.Buffer+uint64(used))
	binary.LittleEndian.PutUint64(m.data[8:], free)
}

func TestRead(t *testing.T) {
	s := newSample(t, 8)
	b := record(record(nil, s.none, 0, 1), s.none, 0, 2)
	for _, c := range []struct {
		name string
		used int
		free uint64
		want Info
	}{
		{"empty", 0, 200, Info{Used: 0, Size: 200, Free: 200}},
		{"used", 48, 152, Info{Used: 48, Size: 200, Free: 152}},
		{"full by argument", 48, 0, Info{Used: 48, Size: 200, Free: 0, Full: true}},
		{"full by header", 48, 23, Info{Used: 48, Size: 200, Free: 23, Full: true}},
		{"underflow", 48, 1<<64 - 5, Info{Used: 48, Size: 200, Free: 1<<64 - 5, Full: true}},
		{"overrun", 230, 1<<64 - 30, Info{Used: 200, Size: 200, Free: 1<<64 - 30, Full: true, Overrun: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, loc := newGuest(b, 200)
			m.set(loc, c.used, c.free)
			got, err := Read(context.Background(), m, loc)
			if err != nil {
				t.Fatal(err)
			}
			if got.Info != c.want || uint64(len(got.Data)) != c.want.Used {
				t.Fatalf("%+v, %d bytes; want %+v", got.Info, len(got.Data), c.want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	ctx := context.Background()
	m, loc := newGuest(nil, 200)
	for _, p := range []uint64{0, loc.Buffer - 1, loc.Buffer + 200 + 1<<20, 1<<64 - 1} {
		binary.LittleEndian.PutUint64(m.data, p)
		var pe *PointerError
		if _, err := Read(ctx, m, loc); !errors.As(err, &pe) || pe.Writep != p {
			t.Errorf("writep %#x: %v", p, err)
		}
	}
	var fe *target.FaultError
	if _, err := Read(ctx, m, Location{Buffer: 1, Size: 1, Writep: 1, Free: 1}); !errors.As(err, &fe) {
		t.Errorf("unreadable pointers: %v", err)
	}
	m.set(loc, 100, 100)
	m.data = m.data[:50]
	if _, err := Read(ctx, m, loc); !errors.As(err, &fe) || fe.Addr != testBase+50 {
		t.Errorf("unreadable buffer: %v", err)
	}
	for _, size := range []uint64{0, MaxBuffer + 1} {
		loc.Size = size
		if _, err := Read(ctx, m, loc); err == nil || !strings.Contains(err.Error(), "size") {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// A guest that runs while it is read is noticed: growth is kept, a reset is
// read again.
func TestReadTorn(t *testing.T) {
	s := newSample(t, 8)
	b := record(record(nil, s.none, 0, 1), s.none, 0, 2)
	m, loc := newGuest(b[:24], 200)
	copy(m.data[16:], b)
	m.step = func(n int) {
		if n == 2 {
			m.set(loc, 48, 152)
		}
	}
	got, err := Read(context.Background(), m, loc)
	if err != nil || !got.Info.Torn || len(got.Data) != 24 {
		t.Fatalf("growth: %+v %v", got, err)
	}
	m, loc = newGuest(b, 200)
	m.step = func(n int) {
		if n == 2 {
			m.set(loc, 0, 200)
		}
	}
	got, err = Read(context.Background(), m, loc)
	if err != nil || got.Info.Torn || len(got.Data) != 0 {
		t.Fatalf("reset: %+v %v", got, err)
	}
}
