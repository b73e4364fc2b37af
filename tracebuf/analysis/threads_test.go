package analysis

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

func TestSched(t *testing.T) {
	tr := newTrace(t)
	tr.Add(100, "sched_switch", "idle", "a", 1)
	tr.Add(300, "sched_switch", "a", "b", 0) // a ran 200
	tr.Add(350, "sched_wakeup", "a")
	tr.Add(360, "sched_wakeup", "a") // woken twice: it waits since the first time
	tr.Add(500, "sched_switch", "b", "a", 1)
	tr.Add(900, "sched_switch", "a", "idle", 0)
	a := NewSched()
	with(t, new(Query), tr, Visitor{Record: a.Record})
	var got []string
	for _, th := range a.Threads() {
		got = append(got, fmt.Sprintf("%s ran %d off %d switches %d latency %d", th.Name, th.Running, th.Off, th.Switches, th.Latency.Max()))
	}
	want := []string{"a ran 600 off 200 switches 2 latency 150", "b ran 200 off 0 switches 1 latency 0", "idle ran 0 off 800 switches 1 latency 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if m := a.Missing(source(tr).Guests()[0]); len(m) != 0 {
		t.Errorf("missing %q", m)
	}
	bare := tracetest.New(t, "vfs_open %s")
	if m := NewSched().Missing(source(bare).Guests()[0]); len(m) != 2 || !strings.Contains(m[0], "sched_switch") || !strings.Contains(m[1], "sched_wakeup") {
		t.Errorf("missing %q", m)
	}
}

func TestLocks(t *testing.T) {
	tr := newTrace(t)
	tr.Add(50, "sched_switch", "idle", "a", 1)
	tr.Add(100, "mutex_lock", 0x10)
	tr.Add(110, "mutex_lock_ret", 0x10)
	tr.Add(200, "sched_switch", "a", "b", 1)
	tr.Add(210, "mutex_lock", 0x10) // b waits until a gives it back
	tr.Add(300, "sched_switch", "b", "a", 0)
	tr.Add(400, "mutex_unlock", 0x10)
	tr.Add(500, "sched_switch", "a", "b", 1)
	tr.Add(510, "mutex_lock_ret", 0x10)
	tr.Add(610, "mutex_unlock", 0x10)
	a := NewLocks()
	with(t, new(Query), tr, Visitor{Span: a.Span, Record: a.Record})
	locks := a.Locks()
	if len(locks) != 1 || locks[0].Addr != 0x10 || locks[0].Wait.Sum() != 310 || locks[0].Wait.Max() != 300 || locks[0].Hold.Sum() != 290+100 ||
		locks[0].Contended != 1 || locks[0].Waiters["b"] != 300 {
		t.Errorf("%+v", locks[0])
	}
	bare := tracetest.New(t, "vfs_open %s")
	if bare := source(bare).Guests()[0]; NewLocks().Told(bare) || NewAllocs().Told(bare) {
		t.Error("an image without such tracepoints is said to tell of locks or allocations")
	}
	if m := NewLocks().Missing(source(bare).Guests()[0]); len(m) == 0 {
		t.Error("nothing is missing where there are no tracepoints")
	}
}

func TestAllocs(t *testing.T) {
	chain := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 0x1000), 0x2000)
	tr := newTrace(t)
	at := uint64(0)
	alloc := func(size, addr int) {
		at += 10
		tr.AddExtended(at, ring(1, 0, chain...), "malloc", size)
		tr.AddExtended(at+1, ring(1, 0), "malloc_ret", addr)
	}
	alloc(64, 0x100)
	alloc(64, 0x200)
	alloc(4096, 0x300)
	tr.Add(100, "free", 0x200)
	tr.Add(110, "free", 0x999) // from before the trace
	tr.Add(120, "free", 0)     // free(NULL)
	tr.AddExtended(130, ring(1, 0), "malloc", 1<<30)
	tr.AddExtended(131, ring(1, 0), "malloc_err", 12)
	a := NewAllocs()
	totals := with(t, new(Query), tr, Visitor{Span: a.Span, Record: a.Record})
	var got []string
	for _, c := range a.Sizes() {
		got = append(got, fmt.Sprintf("%d: +%d -%d failed %d live %d", c.Size, c.Allocated, c.Freed, c.Failed, c.Live))
	}
	want := []string{"4096: +1 -0 failed 0 live 1", "64: +2 -1 failed 0 live 1", "1073741824: +0 -0 failed 1 live 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	chains := a.Chains()
	if len(chains) != 1 || chains[0].Live != 2 || chains[0].Bytes != 4160 || !slices.Equal(chains[0].Frames, []uint64{0x1000, 0x2000}) {
		t.Errorf("%+v", chains)
	}
	if a.Unknown != 1 || a.Balance(totals.Guests[0].Guest) != 4160 {
		t.Errorf("%d unknown, balance %d", a.Unknown, a.Balance(totals.Guests[0].Guest))
	}
}

func TestCounters(t *testing.T) {
	tr := newTrace(t)
	tr.Add(10, "sched_switch", "idle", "a", 1)
	tr.Add(20, "serve", 1)
	tr.Add(30, "malloc", 100)
	tr.Add(40, "malloc_ret", 0x100)
	tr.Add(50, "sched_wakeup", "b")
	tr.Add(60, "sched_switch", "a", "b", 1)
	tr.Add(70, "serve", 2)
	tr.Add(80, "serve_ret", 2)
	tr.Add(90, "sched_switch", "b", "a", 0)
	tr.Add(100, "free", 0x100)
	tr.Add(110, "serve_ret", 1)
	var got []string
	c := NewCounters(func(s *Seen, name, unit string, value int64) error {
		got = append(got, fmt.Sprintf("%d %s%s=%d", s.Rec.Time, name[:4], unit, value))
		return nil
	})
	src := &blocks{guest: source(tr).Guests()[0]}
	half := len(tr.Records)
	late := newTrace(t)
	late.Add(200, "note", "after the gap")
	src.chunks = []*stream.Chunk{
		{Guest: src.guest, Records: tr.Records[:half]},
		{Guest: src.guest, Lost: &recording.Lost{Records: 7}},
		{Guest: src.guest, Records: late.Records},
	}
	if _, err := new(Query).Run([]stream.Source{src}, c.Visitor()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"10 heapbytes=0", "10 runn=1", "10 lost=0", "20 in p=1", "40 heapbytes=100", "50 runn=2", "70 in p=2", "80 in p=1", "90 runn=1",
		"100 heapbytes=0", "110 in p=0", "200 lost=7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n%q\n%q", got, want)
	}
}
