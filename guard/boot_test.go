package guard

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// left makes a journal of an attachment whose processes are gone, which has two
// bytes to put back.
func left(t *testing.T, state, name string, b journal.Begin, at uint64, more ...journal.Record) {
	t.Helper()
	dir := filepath.Join(guardDir(state), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.Client, b.Arch = journal.Process{PID: 1 << 30}, "x86_64"
	w, err := journal.Create(filepath.Join(dir, "journal"), b)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, r := range append([]journal.Record{
		journal.Connecting{At: monotonic()}, journal.Attached{QEMU: true, Found: journal.Running, LeaveRunning: true},
		journal.MemoryChanged{Memory: journal.Memory{Addr: at, Old: []byte{0xf4, 0xf4}}},
	}, more...) {
		if err := w.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

// A journal of before the host was started anew is not applied to what listens at
// the same place now, even if the VMM is a process of the same number and start time.
func TestRecoverAfterReboot(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	state := guesttest.StateDir(t)
	start, err := startTime(g.Pid())
	if err != nil {
		t.Fatal(err)
	}
	same := journal.Identified{VMM: journal.VMM{Process: journal.Process{PID: g.Pid(), Start: start}}}
	begin := journal.Begin{Spec: g.GDBAddr(), Created: time.Now(), Boot: "9f0e6b1c-0000-4000-8000-00000000dead", SinceBoot: sinceBoot()}
	left(t, state, "a", begin, g.sym["serve"])
	left(t, state, "b", begin, g.sym["serve"], same)
	list := Recover(context.Background(), Options{State: state})
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for _, r := range list {
		if r.Err != nil || !strings.Contains(r.How, "started anew") {
			t.Errorf("%+v", r)
		}
	}
	if n := len(g.Events()); n != 0 {
		t.Errorf("the guest was touched: %v", g.Events())
	}
	g.mustBeAsFound(t, state, true, soon)
}

// recovered is what Recover says once each stub has answered: one of a VMM with a
// monitor, which may be the better way, is not waited for long. Here the monitor is the
// test's.
func recovered(t *testing.T, opt Options) []Report {
	t.Helper()
	list := Recover(context.Background(), opt)
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); {
		var silent []int
		for i, r := range list {
			if r.Err != nil && strings.Contains(r.Err.Error(), "no answer within") {
				silent = append(silent, i)
			}
		}
		if len(silent) == 0 {
			break
		}
		again := Recover(context.Background(), opt)
		if len(again) != len(silent) {
			t.Fatalf("%+v, and again %+v", list, again)
		}
		for n, i := range silent {
			list[i] = again[n]
		}
	}
	return list
}

// What the host's clock says decides nothing: one that was years off when the
// attachment began, or is now, changes neither what is undone nor what is not.
func TestRecoverWithAWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-20 * 365 * 24 * time.Hour, 0, 20 * 365 * 24 * time.Hour} {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
		state := guesttest.StateDir(t)
		at := g.sym["serve"]
		was := g.memory(t, at, 2)
		begin := journal.Begin{Spec: g.GDBAddr(), Created: time.Now().Add(off), Boot: thisBoot(), SinceBoot: sinceBoot()}
		left(t, state, "mine", begin, g.sym["fault_null"])
		begin.SinceBoot = time.Second // long before this guest
		left(t, state, "old", begin, at)
		list := recovered(t, Options{State: state})
		if len(list) != 2 || list[0].Err != nil || list[1].Err != nil {
			t.Fatalf("%+v", list)
		}
		if !strings.Contains(list[0].How, "undone") || !strings.Contains(list[1].How, "started later") {
			t.Errorf("clock off by %v: %v / %v", off, list[0], list[1])
		}
		if got := g.memory(t, g.sym["fault_null"], 2); string(got) != "\xf4\xf4" {
			t.Errorf("not put back: % x", got)
		}
		if got := g.memory(t, at, 2); string(got) != string(was) {
			t.Errorf("written to another guest: % x", got)
		}
		g.Kill()
	}
}

// Several journals, of one guest and of others, are finished each by itself: one that
// cannot be is kept, and is no reason for the next not to be.
func TestSeveralJournals(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	other := boot(t, guesttest.Options{Image: "ukguest-arm64", GDB: "tcp"})
	state := guesttest.StateDir(t)
	now := journal.Begin{Created: time.Now(), Boot: thisBoot(), SinceBoot: sinceBoot()}
	mine := now
	mine.Spec = g.GDBAddr()
	left(t, state, "1", mine, g.sym["fault_null"])
	left(t, state, "2", mine, g.sym["fault_null"]+2)
	gone := now
	gone.Spec = "unix:" + filepath.Join(t.TempDir(), "nobody")
	left(t, state, "3", gone, 0x1000)
	// A host that does not answer: documentation addresses are routed nowhere.
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	hung := now
	hung.Spec = "tcp:" + deaf.Addr().String()
	left(t, state, "4", hung, 0x1000)
	theirs := now
	theirs.Spec = other.GDBAddr()
	left(t, state, "5", theirs, other.sym["fault_null"])
	if err := os.MkdirAll(filepath.Join(guardDir(state), "6"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(guardDir(state), "6", "journal"), []byte("no journal"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := Recover(context.Background(), Options{State: state})
	var undone, lost, failed int
	for _, r := range list {
		switch {
		case r.Err != nil:
			failed++
		case strings.Contains(r.How, "undone"):
			undone++
		case strings.Contains(r.How, "gone"):
			lost++
		}
		t.Log(r)
	}
	if undone != 3 || lost != 1 || failed != 2 {
		t.Errorf("%d undone, %d of guests that are gone, %d failed", undone, lost, failed)
	}
	if got := g.memory(t, g.sym["fault_null"], 4); string(got) != "\xf4\xf4\xf4\xf4" {
		t.Errorf("not put back: % x", got)
	}
	left := 0
	for _, e := range mustReadDir(t, guardDir(state)) {
		if e.Name() != "4" && e.Name() != "6" {
			t.Errorf("%s is left", e.Name())
		}
		left++
	}
	if left != 2 || !g.Running(t) || !other.Running(t) {
		t.Errorf("%d are left, running %v and %v", left, g.Running(t), other.Running(t))
	}
}

func mustReadDir(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
