package unikraft_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

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
