package exporttest

import (
	"os/exec"
	"testing"
)

// Babeltrace reads a CTF folder with babeltrace2 and returns what it prints. The
// test ends if it finds fault with the trace.
func Babeltrace(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "babeltrace2", args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("babeltrace2 %q (make tools installs it): %v: %s", args, err, out)
	}
	return string(out)
}
