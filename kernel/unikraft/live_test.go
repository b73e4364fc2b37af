package unikraft_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// live is a stopped guest, seen through QEMU's stub.
type live struct {
	vm     *guesttest.VM
	image  *symbolizer.Image
	client *gdbstub.Client
	k      *unikraft.Kernel
}

// boot starts an image, lets it work until text is on the console, and stops it.
func boot(t *testing.T, opt guesttest.Options, text string) *live {
	t.Helper()
	opt.GDB = "tcp"
	vm := guesttest.Start(t, opt)
	if text != "" {
		vm.WaitConsole(t, text, 60*time.Second)
		// A paused VM stays paused when a client leaves: gdb then sees what we saw.
		vm.QMP(t, "stop", nil)
	}
	l := &live{vm: vm}
	var err error
	if l.image, err = symbolizer.Open(vm.Debug); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.image.Close() })
	spec, err := target.ParseSpec(vm.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if l.client, err = gdbstub.Dial(ctx, spec, gdbstub.Options{Arch: l.image.Arch()}); err != nil {
		t.Fatal(err)
	}
	l.open(t, 0)
	return l
}

// open makes the kernel of an image that runs slid.
func (l *live) open(t *testing.T, slide uint64) {
	t.Helper()
	types, err := ctype.New(l.image)
	if err != nil {
		t.Fatal(err)
	}
	l.k, err = unikraft.New(unikraft.Config{
		Image:  unikraft.FromSymbolizer(l.image, types),
		Memory: l.client, CPUs: l.client, System: l.client, Slide: slide,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// gdb leaves the stub to gdb-multiarch and returns the lines it prints.
func (l *live) gdb(t *testing.T, script string) []string {
	t.Helper()
	if _, err := l.client.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(l.vm.GDBAddr(), "tcp:")
	args := []string{"-nx", "-batch", "-ex", "set pagination off", "-ex", "target remote " + addr}
	file := filepath.Join(t.TempDir(), "script.gdb")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gdb-multiarch", append(args, "-x", file, l.vm.Debug)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gdb-multiarch (install it with make tools): %v\n%s", err, stderr.String())
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "|") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("gdb printed nothing:\n%s\n%s", out, stderr.String())
	}
	return lines
}

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
	p := tracebuf.NewPairer(defs)
	p.ThreadOf = tracebuf.SwitchBy("sched_switch", 1, nil)
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

// Threads that were made and never ran are told with the function they will
// start in.
func TestLiveNewThreads(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			l := boot(t, guesttest.Options{Image: image, Paused: true}, "")
			// main sleeps for the first time right after it made its threads.
			l.runTo(t, "uk_sched_thread_sleep")
			list, err := l.k.Threads(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			entries := map[string]string{
				"worker-1": "worker_main", "worker-2": "worker_main", "worker-3": "worker_main",
				"disk": "disk_main", "acceptor": "acceptor_main", "idle": "idle_main",
			}
			for _, th := range list.Threads {
				s, _ := l.image.Symbol(th.Entry)
				if want, ok := entries[th.Name]; th.New != ok || s.Name != want {
					t.Errorf("%s: new %v, starts in %q, want %q", th.Name, th.New, s.Name, want)
				}
				if th.Name == "main" && (th.State != kernel.Running || !th.Live) {
					t.Errorf("main: %+v", th)
				}
			}
			if len(list.Threads) != len(entries)+1 {
				t.Errorf("%d threads", len(list.Threads))
			}
		})
	}
}

// runTo lets the guest run to a function.
func (l *live) runTo(t *testing.T, function string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s, ok := l.image.SymbolByName(function)
	if !ok {
		t.Fatalf("no function %s", function)
	}
	b := target.Breakpoint{Kind: target.BreakHardware, Addr: s.Addr}
	if err := l.client.Insert(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := l.client.Resume(ctx, target.Action{CPU: target.AllCPUs}); err != nil {
		t.Fatal(err)
	}
	l.waitStop(t)
	if err := l.client.Remove(ctx, b); err != nil {
		t.Fatal(err)
	}
}

// waitStop waits until the guest has stopped.
func (l *live) waitStop(t *testing.T) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case e := <-l.client.Events():
			if e.Kind == target.EventStopped {
				return
			}
			if e.Err != nil {
				t.Fatal(e.Err)
			}
		case <-timeout:
			t.Fatalf("the guest did not stop:\n%s", l.vm.Console())
		}
	}
}

// A full buffer is told, and what it holds is good to the last byte.
func TestLiveFullBuffer(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64-smalltrace", "ukguest-arm64-smalltrace"} {
		t.Run(image, func(t *testing.T) {
			l := boot(t, guesttest.Options{Image: image}, "ms, ")
			stats := l.trace(t)
			loc, _ := l.k.TraceBuffer()
			snap, err := tracebuf.Read(context.Background(), l.client, loc)
			if err != nil {
				t.Fatal(err)
			}
			if !snap.Info.Full || snap.Info.Size != 16384 {
				t.Errorf("%+v", snap.Info)
			}
			for _, line := range l.gdb(t, gdbScript) {
				if line[0] == 'C' && (!strings.HasPrefix(line, fmt.Sprintf("C|%d|", stats.Records)) || strings.Contains(line, "|0|")) {
					t.Errorf("%d records; the guest counted (written, dropped) %s", stats.Records, line)
				}
			}
		})
	}
}

// An image that runs elsewhere than it was linked is read all the same, and the
// trace records tell the same slide as the code.
func TestLivePIE(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64-pie", "ukguest-arm64-pie"} {
		t.Run(image, func(t *testing.T) {
			ctx := context.Background()
			l := boot(t, guesttest.Options{Image: image}, "ms, ")
			slide := l.findSlide(t)
			t.Logf("slide %#x", slide)
			l.open(t, slide)
			list, err := l.k.Threads(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Threads) != 7 || len(list.Notes) != 0 {
				t.Errorf("%d threads, notes %q", len(list.Threads), list.Notes)
			}
			for _, th := range list.Threads {
				if th.RegsErr != nil || len(th.Notes) != 0 {
					t.Errorf("%s: %v %q", th.Name, th.RegsErr, th.Notes)
				}
			}
			l.heap(t)
			loc, err := l.k.TraceBuffer()
			if err != nil {
				t.Fatal(err)
			}
			snap, err := tracebuf.Read(ctx, l.client, loc)
			if err != nil {
				t.Fatal(err)
			}
			defs, err := tracebuf.ParseDefinitions(l.image.Section(".uk_tracepoints_list"))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := tracebuf.InferSlide(snap.Data, defs); !ok || got != slide {
				t.Errorf("slide of the records %#x (%v), of the code %#x", got, ok, slide)
			}
			s := tracebuf.NewScanner(snap.Data, defs, slide)
			for s.Scan() {
			}
			if st := s.Stats(); st.Records == 0 || st.Bad != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// findSlide looks for the scheduler's code at 64 KiB steps around its link
// address, independently of what ukdbg does.
func (l *live) findSlide(t *testing.T) uint64 {
	t.Helper()
	s, _ := l.image.SymbolByName("ukarch_ctx_switch")
	code, ok := l.image.Data(s.Addr, int(s.Size))
	if !ok || len(code) < 32 {
		t.Fatal("no code of ukarch_ctx_switch")
	}
	const step, span = 64 << 10, 64 << 20
	var ranges []target.Range
	for off := -span; off <= span; off += step {
		ranges = append(ranges, target.Range{Addr: s.Addr + uint64(off), Data: make([]byte, len(code))})
	}
	if err := target.ReadMany(context.Background(), l.client, ranges); err != nil {
		t.Fatal(err)
	}
	for _, r := range ranges {
		if r.Err == nil && bytes.Equal(r.Data, code) {
			return r.Addr - s.Addr
		}
	}
	t.Fatal("ukarch_ctx_switch is nowhere within 64 MiB")
	return 0
}

// The stack of a thread that faulted goes through the trap to the function that
// did it.
func TestLiveTrap(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-x86_64-nofp", "ukguest-arm64", "ukguest-arm64-nofp"} {
		t.Run(image, func(t *testing.T) {
			l := boot(t, guesttest.Options{Image: image, Append: "fault=null after=5"}, "halted")
			list, err := l.k.Threads(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			mods := symbolizer.Mappings{{Image: l.image}}
			for _, th := range list.Threads {
				if th.State != kernel.Running {
					continue
				}
				frames, err := unwind.Unwind(context.Background(), l.client, mods, th.Regs, l.k.UnwindOptions())
				var names []string
				traps := 0
				for _, f := range frames {
					s, _ := l.image.Symbol(f.LookupPC)
					names = append(names, s.Name)
					if f.Trap {
						traps++
					}
				}
				stack := strings.Join(names, " ← ")
				t.Logf("%s: %s", th.Name, stack)
				if err != nil || traps == 0 || !strings.Contains(stack, "worker_main") {
					t.Errorf("%s: %v: %s", th.Name, err, stack)
				}
			}
		})
	}
}

// At the entry of ukarch_ctx_switch the kernel already names the next thread
// while the stack is the former's: each thread must still have its own stack.
func TestLiveSwitching(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			ctx := context.Background()
			l := boot(t, guesttest.Options{Image: image}, "ms, ")
			seen := map[string]bool{}
			for range 12 {
				l.runTo(t, "ukarch_ctx_switch")
				list, err := l.k.Threads(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, th := range list.Threads {
					if bottom := l.bottom(t, th); !strings.HasPrefix(bottom, firstFunction(th.Name)) {
						t.Errorf("%s (live %v, %q) stands on the stack of %s", th.Name, th.Live, th.Notes, bottom)
					}
					if th.Live {
						seen[th.Name] = true
					}
					if th.Live && th.CPU != 0 || !th.Live && th.CPU != kernel.NoCPU {
						t.Errorf("%s: live %v on CPU %d", th.Name, th.Live, th.CPU)
					}
				}
				// Off the breakpoint, so that the next run does not stop here again.
				l.step(t)
			}
			if len(seen) < 2 {
				t.Errorf("only %v left the CPU", seen)
			}
		})
	}
}

// firstFunction is what the guest's thread of a name starts in.
func firstFunction(thread string) string {
	switch {
	case strings.HasPrefix(thread, "worker"):
		return "worker_main"
	case thread == "main":
		return "kmain"
	}
	return thread + "_main"
}

// bottom returns the outermost function on a thread's stack.
func (l *live) bottom(t *testing.T, th kernel.Thread) string {
	t.Helper()
	mods := symbolizer.Mappings{{Image: l.image}}
	frames, err := unwind.Unwind(context.Background(), l.client, mods, th.Regs, l.k.UnwindOptions())
	if err != nil {
		t.Errorf("%s: %v", th.Name, err)
	}
	s, _ := l.image.Symbol(frames[len(frames)-1].LookupPC)
	return s.Name
}

func (l *live) step(t *testing.T) {
	t.Helper()
	if err := l.client.Resume(context.Background(), target.Action{CPU: 0, Step: true}); err != nil {
		t.Fatal(err)
	}
	l.waitStop(t)
}
