package vmm

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// How old a process is is counted from the boot, whatever the clock says.
func TestAge(t *testing.T) {
	dir := t.TempDir()
	p := &Process{StartTime: 99_000}
	for text, want := range map[string]time.Duration{"1000.25 3.00\n": 10*time.Second + 250*time.Millisecond, "": -1, "x 1": -1, "-5 1": -1, "1e300 1": -1} {
		if err := os.WriteFile(filepath.Join(dir, "uptime"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		age, err := Proc(dir).Age(p)
		if (err == nil) != (want >= 0) || err == nil && age != want {
			t.Errorf("%q: %v, %v", text, age, err)
		}
	}
	self, err := Host.Age(&Process{StartTime: 0})
	if err != nil || self < time.Second {
		t.Errorf("since the boot: %v, %v", self, err)
	}
}
