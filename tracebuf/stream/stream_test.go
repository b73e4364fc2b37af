package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

func points(t *testing.T) *tracetest.Trace {
	return tracetest.New(t, "vfs_open path=%s", "vfs_open_ret fd=%d", "sched_switch %s -> %s")
}

// listed reads all and writes each event as a line.
func listed(t *testing.T, sources ...Source) (lines []string) {
	t.Helper()
	err := Each(sources, func(ev *Event) error {
		switch {
		case ev.Chunk.Damage != nil:
			lines = append(lines, fmt.Sprintf("damage %d", ev.Chunk.Damage.Size))
		case ev.Chunk.Lost != nil:
			lines = append(lines, fmt.Sprintf("%s lost %d", ev.Chunk.Guest.Label(), ev.Chunk.Lost.Records))
		case ev.Rec.Problem != tracebuf.Good:
			lines = append(lines, "bad")
		default:
			lines = append(lines, fmt.Sprintf("%s %d %s", ev.Chunk.Guest.Label(), ev.Unix(), ev.Rec.Text()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// file is a recording in memory.
type file struct {
	bytes.Buffer
	t *testing.T
	w *recording.Writer
	// tr has the definitions; its records are written and forgotten.
	tr *tracetest.Trace
}

func newFile(t *testing.T, name string, source uint16) *file {
	f := &file{t: t, tr: points(t)}
	f.w = recording.NewWriter(f, source)
	f.must(f.w.Start(recording.Start{Instance: name, Name: name}, f.tr.Section))
	return f
}

func (f *file) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// flush writes what was added as one reading.
func (f *file) flush(d recording.Data) {
	f.t.Helper()
	_, err := f.w.Records(d, f.tr.Records, f.tr.Definitions)
	f.must(err)
	f.tr.Records = nil
}

func TestOneRecording(t *testing.T) {
	f := newFile(t, "shop", 0)
	f.must(f.w.Threads(recording.Threads{Threads: []recording.ThreadName{{Address: 0x10, Name: "worker"}}}))
	f.tr.Add(100, "vfs_open", "/a")
	f.tr.Add(200, "vfs_open_ret", 3)
	f.flush(recording.Data{After: 1_000_100, Before: 1_000_200})
	f.must(f.w.Lost(recording.Lost{From: 200, To: 500, Records: 9}))
	f.tr.Add(500, "vfs_open", "/b")
	f.flush(recording.Data{After: 1_000_500, Before: 1_000_500})
	f.must(f.w.End(recording.End{Records: 3}))
	src := NewRecording(&f.Buffer)
	want := []string{"shop 1000100 path=/a", "shop 1000200 fd=3", "shop lost 9", "shop 1000500 path=/b"}
	if got := listed(t, src); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	g := src.Guests()[0]
	if g.ThreadName(0x10) != "worker" || g.End == nil || g.End.Records != 3 || g.Switch == nil || g.Switch.To != 1 {
		t.Errorf("%+v", g)
	}
}

// What is damaged costs itself; a file that is cut says so.
func TestDamage(t *testing.T) {
	f := newFile(t, "shop", 0)
	f.tr.Add(100, "vfs_open", "/a")
	f.flush(recording.Data{})
	before := f.Len()
	f.tr.Add(200, "vfs_open", "/b")
	f.flush(recording.Data{})
	after := f.Len()
	f.tr.Add(300, "vfs_open", "/c")
	f.flush(recording.Data{})
	whole := bytes.Clone(f.Bytes())
	whole[before+50] ^= 1
	want := []string{"shop 0 path=/a", fmt.Sprintf("damage %d", after-before), "shop 0 path=/c"}
	if got := listed(t, NewRecording(bytes.NewReader(whole))); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	cut := f.Bytes()[:f.Len()-3]
	if got := listed(t, NewRecording(bytes.NewReader(cut))); len(got) != 3 || got[2] != fmt.Sprintf("damage %d", len(cut)-after) {
		t.Errorf("%q", got)
	}
}

// Lazy chunks hold the block, and give the same records.
func TestLazy(t *testing.T) {
	f := newFile(t, "shop", 0)
	for i := range 200 {
		f.tr.Add(uint64(100+i), "vfs_open", "/the/same/path/again")
	}
	f.flush(recording.Data{})
	src := NewRecording(&f.Buffer)
	src.Lazy = true
	c, err := src.Next()
	if err != nil || c.Block == nil || c.Records != nil || c.Head.Records != 200 {
		t.Fatalf("%+v, %v", c, err)
	}
	body, err := c.Block.Body(nil)
	if err != nil {
		t.Fatal(err)
	}
	sc := tracebuf.NewScanner(body, c.Guest.Definitions, 0)
	for sc.Scan() {
	}
	if st := sc.Stats(); st.Records != 200 || st.Bad != 0 {
		t.Errorf("%+v", st)
	}
	if _, err := src.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Two guests come out in the order of the host's time, whatever their clocks say.
func TestMerge(t *testing.T) {
	a, b := newFile(t, "a", 0), newFile(t, "b", 1)
	for i := range 3 {
		at := uint64(100 + 1000*i)
		a.tr.Add(at, "vfs_open_ret", i)
		a.flush(recording.Data{After: int64(at) + 5000, Before: int64(at) + 5000})
		b.tr.Add(at, "vfs_open_ret", 10+i) // 500 later by the host
		b.flush(recording.Data{After: int64(at) + 5500, Before: int64(at) + 5500})
	}
	b.must(b.w.Lost(recording.Lost{Records: 4}))
	want := []string{"a 5100 fd=0", "b 5600 fd=10", "a 6100 fd=1", "b 6600 fd=11", "a 7100 fd=2", "b 7600 fd=12", "b lost 4"}
	both := slices.Concat(a.Bytes(), b.Bytes())
	if got := listed(t, NewRecording(&a.Buffer), NewRecording(&b.Buffer)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// In one file they come guest by guest, and are merged where both are known
	// from the start.
	src := NewRecording(bytes.NewReader(both))
	if got := listed(t, src); len(got) != len(want) || len(src.Guests()) != 2 {
		t.Errorf("%q", got)
	}
}

// Whole or in pieces, a snapshot has the same records, and positions never repeat.
func TestSnapshot(t *testing.T) {
	tr := points(t)
	for i := range 60_000 {
		tr.Add(uint64(1000+i/3), "vfs_open", "/some/path") // three at each moment
		if i%1000 == 7 {
			tr.Records = append(tr.Records, "rubbish"...)
		}
	}
	read := func(whole bool) (chunks int, positions []uint64, bad int) {
		s := NewSnapshot(&Guest{Definitions: tr.Definitions}, recording.Data{Before: 5_000_000}, tr.Records)
		s.Whole = whole
		var last *Chunk
		err := Each([]Source{s}, func(ev *Event) error {
			if ev.First {
				chunks++
			}
			last = ev.Chunk
			if ev.Rec.Problem != tracebuf.Good {
				bad++
				return nil
			}
			positions = append(positions, ev.Rec.Position)
			return nil
		})
		if err != nil || last.Clock.Known == whole {
			t.Fatalf("%v; clock %+v", err, last.Clock)
		}
		return chunks, positions, bad
	}
	pieces, in, bad := read(false)
	one, at, bad1 := read(true)
	if pieces < 2 || one != 1 || !slices.Equal(in, at) || len(in) != 60_000 || bad != 60 || bad1 != bad {
		t.Errorf("%d pieces and %d, %d records and %d, %d bad and %d", pieces, one, len(in), len(at), bad, bad1)
	}
	for i := 1; i < len(in); i++ {
		if in[i] <= in[i-1] {
			t.Fatalf("position %d is %d, behind %d", i, in[i], in[i-1])
		}
	}
}

// A clock that runs fast is slowed down; times never leave their bounds.
func TestClock(t *testing.T) {
	var c clock
	p := c.next(recording.Data{Records: 2, First: 1000, Last: 3000, After: 100_000, Before: 101_000}, 0)
	if !p.Known || p.Rate != 0.5 || p.Unix(1000) != 100_000 || p.Unix(3000) != 101_000 {
		t.Errorf("%+v", p)
	}
	c = clock{}
	p = c.next(recording.Data{Records: 2, First: 1000, Last: 2000, After: 100_000, Before: 103_000}, 0)
	if u := p.Unix(1000); u < 100_000 || p.Unix(2000) > 103_000 || p.Uncertainty != 1000 {
		t.Errorf("%+v: %d", p, u)
	}
	if p := c.next(recording.Data{Records: 1, First: 5, Last: 5}, 0); p.Known || p.Unix(5) != 0 {
		t.Errorf("without the host's time: %+v", p)
	}
}
