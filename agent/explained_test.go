package agent

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// A fault that a console reports is told with the cause and the fingerprint that
// ukdbg crash gives for that console and the image. A text that was written over a
// pointer is left out.
func TestFaultsAreExplained(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	sink := newCollector(t)
	c := quick(t, unique(t, "why-*"))
	c.Profile.Enabled, c.Traces.Enabled = false, false
	sink.to(c)
	name, log := unique(t, "why-a"), filepath.Join(t.TempDir(), "console")
	appendTo(t, log, "up\n")
	fake(t, snap, fakevmm.Options{Name: name, Console: log, Shared: true})
	a := run(t, c, nil)
	a.guest(name, func(g status.Guest) bool { return g.Console == log && g.Image.Debug != "" })

	s, err := ukdbg.OpenImage(t.Context(), ukdbg.Options{Image: snap.Kernel + ".dbg"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	secret := binary.LittleEndian.Uint64([]byte("s3cr3t\x00\x00"))
	n := 0
	for _, f := range []struct{ fault, cause string }{{"null", "through a null pointer: r->conn is NULL"}, {"jump", "function pointer"}, {"pfw", "write to read_only_text"}, {"gp", "which is no address"}, {"text", "…"}} {
		kind := f.fault
		if kind == "text" {
			kind = "null"
		}
		vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", Append: "rate=100 fault=" + kind + " after=3 crash=b"})
		vm.WaitConsole(t, "halted", patience)
		console := vm.Console()
		vm.Kill()
		if f.fault == "text" {
			// As if a text had been written over the pointer.
			console = strings.NewReplacer(": 0000000000000000", fmt.Sprintf(": %016x", secret), "fault at 0x0 ", fmt.Sprintf("fault at %#x ", secret)).Replace(console)
		}
		var want ukdbg.FaultReport
		if err := s.ReadLog(t.Context(), strings.NewReader(console), func(r ukdbg.FaultReport) error {
			want = r
			return nil
		}); err != nil || want.Fault == nil || !strings.Contains(want.Fault.Cause.Public, f.cause) {
			t.Fatalf("%s: %v, %+v\n%s", f.fault, err, want.Fault, console)
		}
		appendTo(t, log, console)
		var got []map[string]string
		for end := time.Now().Add(patience); len(got) <= n; time.Sleep(50 * time.Millisecond) {
			if got = faultRecords(t, sink); time.Now().After(end) {
				t.Fatalf("%s: it is not told", f.fault)
			}
		}
		r := got[n]
		n = len(got)
		if cause := want.Fault.Cause; r["exception.message"] != cause.Public || r["body"] != cause.Public || (cause.Public == cause.Text) != (f.fault != "text") {
			t.Errorf("%s: %q, crash says %q", f.fault, r["exception.message"], want.Fault.Cause.Text)
		}
		if f.fault == "text" {
			if f := want.Fault; !strings.Contains(f.Cause.Text, "s3cr3t") || f.Address.V != secret {
				t.Errorf("crash says %q of %#x", f.Cause.Text, f.Address.V)
			}
			for k, v := range r {
				if strings.Contains(v, "s3cr3t") || strings.Contains(v, fmt.Sprintf("%x", secret)) || strings.Contains(v, fmt.Sprint(secret)) {
					t.Errorf("%s holds what the pointer was overwritten with: %s", k, v)
				}
			}
		}
		if is := want.Fault.Fingerprint(want.Functions); r["ukdbg.fault.fingerprint"] != is || r["exception.type"] != string(want.Fault.Kind) {
			t.Errorf("%s: %s %s, crash says %s %s", f.fault, r["exception.type"], r["ukdbg.fault.fingerprint"], want.Fault.Kind, is)
		}
		t.Logf("%s: %s (%s)", f.fault, r["exception.message"], r["ukdbg.fault.fingerprint"])
	}
}
