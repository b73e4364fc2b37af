package unikraft_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// gdbScript prints what the kernel's structures say, by gdb's own reading.
const gdbScript = `
define list
  set $t = $arg0
  while $t
    set $cpu = -1
    set $i = 0
    while $i < sizeof(__uk_sched_thread_current) / sizeof(void *)
      if __uk_sched_thread_current[$i] == $t
        set $cpu = $i
      end
      set $i = $i + 1
    end
    printf "T|%#lx|%s|%u|%ld|%lu|%d|%d\n", $t, $t->name, $t->flags, $t->wakeup_time, $t->exec_time, $cpu, $t == &((struct schedcoop *)$s)->idle
    set $t = $t->thread_list.tqe_next
  end
end
set $s = uk_sched_head
while $s
  list $s->thread_list.tqh_first
  list $s->exited_threads.tqh_first
  set $s = $s->next
end
set $b = (struct uk_bbpalloc *)_uk_alloc_head->priv
printf "H|%lu|%lu\n", $b->nr_free_pages, $b->memr_head->nr_pages
printf "C|%lu|%lu|%ld\n", uk_trace_stats.written, uk_trace_stats.dropped, uk_trace_buffer_writep - uk_trace_buffer
`

// ours prints threads as gdbScript does.
func ours(t *testing.T, list *kernel.ThreadList) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, th := range list.Threads {
		// The VM stops where it likes, in the middle of a context switch too.
		// What gdb reads from memory does not show that.
		if notes := strings.Join(th.Notes, " "); notes != "" && !strings.Contains(notes, "just being switched") {
			t.Errorf("thread %s: %q", th.Name, th.Notes)
		}
		out[fmt.Sprintf("%#x", th.Addr)] = fmt.Sprintf("%s %v exec %d", th.Name, th.State, *th.ExecTime)
	}
	return out
}

// gdbs turns a line of gdbScript into the same form, by the meaning of the
// flags in Unikraft's thread.h.
func gdbs(t *testing.T, line string) (addr, text string) {
	t.Helper()
	var name string
	var flags, wakeup, exec, cpu, idle int64
	f := strings.Split(line, "|")
	if len(f) != 8 {
		t.Fatalf("gdb printed %q", line)
	}
	name = f[2]
	for i, p := range []*int64{&flags, &wakeup, &exec, &cpu, &idle} {
		if _, err := fmt.Sscan(f[3+i], p); err != nil {
			t.Fatalf("gdb printed %q: %v", line, err)
		}
	}
	state := "waiting"
	switch {
	case cpu >= 0:
		state = "running"
	case flags&0x10 != 0:
		state = "exited"
	case idle == 1:
		state = "idle"
	case flags&0x08 != 0:
		state = "ready"
	case wakeup != 0:
		state = "sleeping"
	}
	return f[1], fmt.Sprintf("%s %s exec %d", name, state, exec)
}

func TestLive(t *testing.T) {
	for _, c := range []guesttest.Options{
		{Image: "ukguest-x86_64"},
		{Image: "ukguest-x86_64-nofp", SMP: 2},
		{Image: "ukguest-arm64"},
		{Image: "ukguest-arm64", SMP: 2},
	} {
		t.Run(fmt.Sprintf("%s/smp%d", c.Image, c.SMP), func(t *testing.T) { testLive(t, c) })
	}
}

func testLive(t *testing.T, opt guesttest.Options) {
	ctx := context.Background()
	l := boot(t, opt, "ms, ")
	before := l.client.Stats()
	list, err := l.k.Threads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	trips := l.client.Stats().RoundTrips - before.RoundTrips
	t.Logf("%d threads in %d batches of reads, %d round trips of the stub; notes %q", len(list.Threads), list.RoundTrips, trips, list.Notes)
	mine := ours(t, list)
	waits := 0
	for _, th := range list.Threads {
		if th.RegsErr != nil {
			t.Errorf("%s: %v", th.Name, th.RegsErr)
		}
		if th.Wait != "" {
			waits++
		}
		if (th.State == kernel.Running) != th.Live && len(th.Notes) == 0 {
			t.Errorf("%s: %v, live %v", th.Name, th.State, th.Live)
		}
		t.Logf("%2d %-12s %-9v cpu %2d %-40s pc %#x", th.ID, th.Name, th.State, th.CPU, th.Wait, th.Regs.PC())
	}
	if waits == 0 {
		t.Error("no thread waits for anything known: the workers wait for requests")
	}
	l.checkStacks(t, list)
	heap := l.heap(t)
	records := l.trace(t)
	l.checkLog(t)

	seen := 0
	for _, line := range l.gdb(t, gdbScript) {
		switch line[0] {
		case 'T':
			seen++
			addr, want := gdbs(t, line)
			if mine[addr] != want {
				t.Errorf("thread at %s: %q, gdb says %q", addr, mine[addr], want)
			}
		case 'H':
			if want := fmt.Sprintf("H|%d|%d", heap.Free>>12, heap.Total>>12); line != want {
				t.Errorf("heap %s, gdb says %s", want, line)
			}
		case 'C':
			if want := fmt.Sprintf("C|%d|", records.Records); !strings.HasPrefix(line, want) {
				t.Errorf("%d records, the guest counted %s", records.Records, line)
			}
		}
	}
	if seen != len(list.Threads) {
		t.Errorf("%d threads, gdb sees %d", len(list.Threads), seen)
	}
}

// checkStacks unwinds every thread: each starts in the scheduler or runs, and
// ends where threads begin.
func (l *live) checkStacks(t *testing.T, list *kernel.ThreadList) {
	t.Helper()
	mods := symbolizer.Mappings{{Image: l.image}}
	for _, th := range list.Threads {
		frames, err := unwind.Unwind(context.Background(), l.client, mods, th.Regs, l.k.UnwindOptions())
		var names []string
		for _, f := range frames {
			s, _ := l.image.Symbol(f.LookupPC)
			names = append(names, s.Name)
			if f.How == unwind.Scan {
				t.Errorf("%s: frame %#x was found by scanning", th.Name, f.PC)
			}
		}
		t.Logf("%-12s %s (%v)", th.Name, strings.Join(names, " ← "), err)
		// What runs may be in the thread's first function.
		if err != nil || len(frames) < 2 && !th.New && !th.Live {
			t.Errorf("%s: %d frames, %v", th.Name, len(frames), err)
		}
	}
}

func (l *live) heap(t *testing.T) kernel.Allocator {
	t.Helper()
	h, err := l.k.Heap(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Allocators) != 1 || len(h.Notes) != 0 {
		t.Fatalf("%+v", h)
	}
	a := h.Allocators[0]
	if a.Kind != "buddy" || !a.Known || len(a.Corrupt) != 0 || len(a.Notes) != 0 || a.Largest == 0 {
		t.Fatalf("%+v", a)
	}
	t.Logf("heap: %d of %d KiB free, largest block %d KiB, chunks %v", a.Free>>10, a.Total>>10, a.Largest>>10, a.Chunks)
	return a
}

// trace decodes the trace buffer, with no bad record.
func (l *live) trace(t *testing.T) tracebuf.Stats {
	t.Helper()
	loc, err := l.k.TraceBuffer()
	if err != nil {
		t.Fatal(err)
	}
	defs, err := tracebuf.ParseDefinitions(l.image.Section(".uk_tracepoints_list"))
	if err != nil {
		t.Fatal(err)
	}
	if len(defs.Bad) != 0 {
		t.Errorf("definitions: %v", defs.Bad)
	}
	for _, d := range defs.All {
		if d.FormatProblem() != "" {
			t.Errorf("%s: %s", d.Name, d.FormatProblem())
		}
	}
	kv, err := tracebuf.ParseKeyVals(l.image.Section(".uk_trace_keyvals"))
	if v, _ := kv.Get("format_version"); err != nil || v != "1" {
		t.Errorf("key-values %v %v", kv, err)
	}
	snap, err := tracebuf.Read(context.Background(), l.client, loc)
	if err != nil {
		t.Fatal(err)
	}
	if slide, ok := tracebuf.InferSlide(snap.Data, defs); !ok || slide != 0 {
		t.Errorf("slide %#x %v", slide, ok)
	}
	s := tracebuf.NewScanner(snap.Data, defs, 0)
	p := tracebuf.NewPairer(defs, &tracebuf.Switch{Name: "sched_switch", From: 0, To: 1})
	spans := 0
	for s.Scan() {
		if r := s.Record(); r.Problem != tracebuf.Good {
			t.Errorf("offset %d: %v", r.Offset, r.Problem)
		}
		if _, ok := p.Add(s.Record()); ok {
			spans++
		}
	}
	un, more := p.Unmatched()
	t.Logf("trace: %+v, %+v, %d spans, %d unmatched", snap.Info, s.Stats(), spans, len(un)+more)
	if s.Stats().Records == 0 || spans == 0 {
		t.Error("no records or no spans")
	}
	return s.Stats()
}

// checkLog compares the console ring with what the console said.
func (l *live) checkLog(t *testing.T) {
	t.Helper()
	text, err := l.k.Log(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	console := l.vm.Console()
	if n := min(len(text), 500); n == 0 || !strings.Contains(console, string(text[len(text)-n:][:n/2])) {
		t.Errorf("the console ring ends in\n%s\nthe console in\n%s", text[max(0, len(text)-300):], console[max(0, len(console)-300):])
	}
	up, err := l.k.Uptime(context.Background())
	if err != nil || up.Nanoseconds < 1e6 {
		t.Errorf("uptime %+v %v", up, err)
	}
	if v := l.k.Version(); v != "0.17.0~ukguest Calypso" {
		t.Errorf("version %q", v)
	}
}
