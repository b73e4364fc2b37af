package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A process is known by the name of its program.
func TestMortalsAreFoundAmongAllProcesses(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "uhyve")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // killed
	defer cmd.Process.Kill()
	for deadline := time.Now().Add(20 * time.Second); !anyMortal(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d, %s, is not seen", cmd.Process.Pid, file)
		}
	}
}
