//go:build linux

package guard

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadAudit(t *testing.T) {
	state := filepath.Join(t.TempDir(), "new")
	count := func() (n, stops int) {
		t.Helper()
		if err := ReadAudit(state, func(e Entry) { n++; stops += e.Stops }); err != nil {
			t.Fatal(err)
		}
		return n, stops
	}
	if n, _ := count(); n != 0 {
		t.Errorf("%d entries of no log", n)
	}
	audit(state, Entry{Event: "leave", VMM: 7, Stops: 3})
	if err := os.WriteFile(filepath.Join(state, auditName+".1"), []byte("cut sho\n{\"event\":\"leave\",\"stops\":4}\nnull\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	audit(state, Entry{Event: "attach"})
	if n, stops := count(); n != 4 || stops != 7 {
		t.Errorf("%d entries, %d stops", n, stops)
	}
	// A line that is too long is passed over, even if its rest looks like an entry.
	entry := "{\"event\":\"leave\",\"stops\":5}"
	if err := os.WriteFile(filepath.Join(state, auditName), []byte(strings.Repeat(" ", 2*auditLine)+entry+"\n"+entry+"\n"+entry), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, stops := count(); n != 4 || stops != 14 {
		t.Errorf("%d entries, %d stops", n, stops)
	}
}

// FuzzAudit: whatever is in a log, no more entries come than it has lines, and one that
// is whole behind it is read. pad is how many KiB of blanks are in front of it.
func FuzzAudit(f *testing.F) {
	f.Add([]byte("cut sho\n{\"event\":\"leave\",\"stops\":4}\nnull\n"), uint8(0))
	f.Add([]byte("{\"event\":\"attach\",\"time\":\"2026-11-22T09:10:11Z\",\"pid\":-1,\"stopped_ms\":1e308}"), uint8(1))
	f.Add([]byte("\n[[[["), uint8(auditLine>>10))
	f.Add([]byte("{}\n{\"event\":\"attach\"}"), uint8(auditLine>>10))
	path := filepath.Join(f.TempDir(), auditName)
	f.Fuzz(func(t *testing.T, log []byte, pad uint8) {
		if len(log) > 16<<10 {
			return
		}
		log = append(bytes.Repeat([]byte{' '}, int(pad)<<10), log...)
		if err := os.WriteFile(path, append(log, "\n{\"event\":\"leave\",\"stops\":7}"...), 0o600); err != nil {
			t.Fatal(err)
		}
		var last Entry
		n := 0
		if err := readLog(path, func(e Entry) { last = e; n++ }); err != nil {
			t.Fatal(err)
		}
		if n > bytes.Count(log, []byte{'\n'})+2 || last.Event != "leave" || last.Stops != 7 {
			t.Fatalf("%d entries, the last one is %+v", n, last)
		}
	})
}
