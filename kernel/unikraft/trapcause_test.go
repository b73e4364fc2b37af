package unikraft_test

import (
	"context"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
)

// The entry code on the stack of a thread that faulted on arm64 tells the
// syndrome; where it tells nothing, nothing is said.
func TestLiveTrapCause(t *testing.T) {
	for _, tt := range []struct {
		image, fault   string
		trap, code     uint64
		trapOK, codeOK bool
	}{
		// The x86 guest's stubs jump to common code, which has no name of a trap.
		{"ukguest-x86_64", "null", 0, 0, false, false},
		{"ukguest-x86_64", "assert", 0, 0, false, false},
		{"ukguest-arm64", "brk", 0, 0xf2000001, false, true},
		{"ukguest-arm64-nofp", "ud", 0, 0x02000000, false, true},
	} {
		t.Run(tt.image+"/"+tt.fault, func(t *testing.T) {
			l := boot(t, guesttest.Options{Image: tt.image, Append: "fault=" + tt.fault + " after=5"}, "halted")
			frames := l.runningStack(t)
			at := 0
			for i := range frames {
				if frames[i].Trap {
					at = i + 1
					break
				}
			}
			trap, code, trapOK, codeOK := l.k.TrapCause(context.Background(), frames[:at])
			if trap != tt.trap || code != tt.code || trapOK != tt.trapOK || codeOK != tt.codeOK {
				t.Errorf("trap %d (%v), code %#x (%v); want %+v", trap, trapOK, code, codeOK, tt)
			}
		})
	}
}

// runningStack unwinds the running thread.
func (l *live) runningStack(t *testing.T) []unwind.Frame {
	t.Helper()
	list, err := l.k.Threads(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range list.Threads {
		if th.State != kernel.Running {
			continue
		}
		mods := symbolizer.Mappings{{Image: l.image}}
		frames, err := unwind.Unwind(context.Background(), l.client, mods, th.Regs, l.k.UnwindOptions())
		if err != nil {
			t.Logf("%s: %v", th.Name, err)
		}
		return frames
	}
	t.Fatal("no thread runs")
	return nil
}
