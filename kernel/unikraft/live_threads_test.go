package unikraft_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
)

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
