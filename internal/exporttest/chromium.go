package exporttest

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Chromium opens a file from disk in a headless Chromium without a network and
// returns the page's DOM as HTML after its scripts ran, what they wrote to the
// console, and a screenshot of 1400 by 1000 pixels as PNG.
func Chromium(t testing.TB, page string) (dom, console string, screenshot string) {
	t.Helper()
	dir := t.TempDir()
	screenshot = filepath.Join(dir, "page.png")
	dom, console = chromium(t, dir, "--dump-dom", "file://"+page)
	chromium(t, dir, "--screenshot="+screenshot, "--window-size=1400,1000", "--hide-scrollbars", "file://"+page)
	return dom, console, screenshot
}

func chromium(t testing.TB, dir string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// Any name resolves to nothing, and a proxy that is not there takes the rest.
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--proxy-server=127.0.0.1:1", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--enable-logging=stderr", "--virtual-time-budget=5000"}, args...)
	cmd := exec.CommandContext(ctx, "chromium", args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium %q (make tools installs it): %v: %s", args, err, log.String())
	}
	return out.String(), log.String()
}
