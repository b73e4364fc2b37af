package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
)

// report is a fault report as guests without debug information print it.
const report = "[    1.250000] CRIT: [libkvmplat] <traps.c @   94> Unhandled page fault at 0x10, error code=0x2, RIP: 0x104000\n" +
	"[    1.250100] CRIT: [libukboot] <shutdown.c @   10> Unikraft halted\n"

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// faultRecords are the fault records that came: their attributes by name, with the text
// as "body" and the guest as "service.name".
func faultRecords(t testing.TB, c *collector) (all []map[string]string) {
	t.Helper()
	for _, b := range c.requests("/v1/logs") {
		q := plogotlp.NewExportRequest()
		if err := q.UnmarshalProto(b); err != nil {
			t.Fatal(err)
		}
		for _, rl := range q.Logs().ResourceLogs().All() {
			name, _ := rl.Resource().Attributes().Get("service.name")
			for _, sl := range rl.ScopeLogs().All() {
				for _, r := range sl.LogRecords().All() {
					one := map[string]string{"body": r.Body().AsString(), "service.name": name.Str()}
					for k, v := range r.Attributes().All() {
						one[k] = v.AsString()
					}
					all = append(all, one)
				}
			}
		}
	}
	return all
}

// faultsOf are the guests and the identifiers of the fault records that came.
func faultsOf(t testing.TB, c *collector) (guests, ids []string) {
	t.Helper()
	for _, r := range faultRecords(t, c) {
		guests, ids = append(guests, r["service.name"]), append(ids, r["log.record.uid"])
	}
	return guests, ids
}

// The report of a guest that dies before it could be looked at is not lost: a monitor
// that does not answer keeps nobody from reading its console.
func TestFaultBeforeLook(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	sink := newCollector(t)
	c := quick(t, unique(t, "early-*"))
	c.Guests.Timeout = time.Minute
	sink.to(c)
	name := unique(t, "early-a")
	log := filepath.Join(t.TempDir(), "console")
	appendTo(t, log, "up\n")
	vm := fake(t, snap, fakevmm.Options{Name: name, Console: log, Shared: true})
	if err := vm.Do("hang"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, nil)
	g := a.guest(name, func(g status.Guest) bool { return g.Console == log })
	if g.Image.How != "" {
		t.Fatalf("its console was followed when it was looked at only: %+v", g)
	}
	appendTo(t, log, report)
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	sink.await(t, "/v1/logs", nil)
	if guests, _ := faultsOf(t, sink); len(guests) != 1 || guests[0] != name {
		t.Errorf("faults of %v", guests)
	}
}

// Guests that write into one log, one after the other, tell each report once, though
// no folder remembers where they were left; a log that comes after its guest was
// looked at is followed then.
func TestOneLogForAll(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	sink := newCollector(t)
	c := quick(t, unique(t, "one-*"))
	c.Console.State = ""
	sink.to(c)
	log := filepath.Join(t.TempDir(), "console")
	a := run(t, c, nil)
	for n, name := range []string{unique(t, "one-a"), unique(t, "one-b"), unique(t, "one-c")} {
		vm := fake(t, snap, fakevmm.Options{Name: name, Console: log, Shared: true})
		if n == 0 {
			a.guest(name, func(g status.Guest) bool { return strings.Contains(g.NoConsole, "is not there") })
			appendTo(t, log, "up\n")
			time.Sleep(time.Second)
			if err := vm.Do("burn 100ms"); err != nil { // whoever writes uses a processor
				t.Fatal(err)
			}
		}
		a.guest(name, func(g status.Guest) bool { return g.Console == log })
		appendTo(t, log, report)
		if err := vm.Close(); err != nil {
			t.Fatal(err)
		}
	}
	settled, deadline := time.Now().Add(5*time.Second), time.Now().Add(patience) // nothing more comes behind the third
	for {
		guests, ids := faultsOf(t, sink)
		unique := map[string]bool{}
		for _, id := range ids {
			unique[id] = true
		}
		if len(ids) == 3 && len(unique) == 3 && time.Now().After(settled) {
			break
		}
		if len(ids) > 3 || time.Now().After(deadline) {
			t.Fatalf("faults of %v, as %v", guests, ids)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
