package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The log is kept in two files of about a mebibyte. Nothing is lost but the oldest,
// no line is torn, and nobody else may read it, whoever writes at the same time.
func TestAuditRotation(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state") // made by the first line
	const writers, lines, last = 4, 2000, 200
	note := strings.Repeat("x", 200)
	var wg, near sync.WaitGroup
	near.Add(writers)
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				if i == lines-last { // else what a fast one wrote is old when a slow one ends
					near.Done()
					near.Wait()
				}
				audit(state, Entry{Event: "attach", Target: fmt.Sprintf("unix:/%d/%d", w, i), Note: note})
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	total := 0
	for _, name := range []string{auditName + ".1", auditName} {
		path := filepath.Join(state, name)
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		// The others write on while the one who turns it over is about to.
		if st.Mode().Perm() != 0o600 || st.Size() > 2*auditMax {
			t.Errorf("%s: mode %v, %d bytes", name, st.Mode(), st.Size())
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var e Entry
			if err := json.Unmarshal(line, &e); err != nil || e.Note != note || e.Time.IsZero() || e.PID != os.Getpid() {
				t.Fatalf("%s: %.100q: %v", name, line, err)
			}
			seen[e.Target]++
			total++
		}
	}
	for target, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d lines", target, n)
		}
	}
	// The newest are there: both files together hold more than one.
	for w := range writers {
		if seen[fmt.Sprintf("unix:/%d/%d", w, lines-1)] != 1 {
			t.Errorf("the last line of writer %d is lost", w)
		}
	}
	if len(seen) < auditMax/1000 {
		t.Errorf("%d lines are kept", len(seen))
	}
	if st, err := os.Stat(state); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}
