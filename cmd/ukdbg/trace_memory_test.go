package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

// longRecording writes one of 60 MB of records: spans with long texts, each longer
// than the one before, so that each is among the longest so far.
func longRecording(t *testing.T) string {
	t.Helper()
	tr := tracetest.New(t, "serve id=%lu path=%s by=%s", "serve_ret id=%lu", "serve_err id=%lu text=%s", "note text=%s")
	text := strings.Repeat("x<y", 60)
	clock := uint64(0)
	for i := range 100_000 {
		clock += 1000
		tr.Add(clock, "serve", i, fmt.Sprintf("/%d/%s", i, text), text)
		tr.Add(clock+1, "note", text)
		clock += 1000 + uint64(i)
		if i%4 == 0 {
			tr.Add(clock, "serve_err", i, text)
		} else {
			tr.Add(clock, "serve_ret", i)
		}
	}
	path := filepath.Join(t.TempDir(), "trace")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := recording.NewWriter(file, 0)
	err = w.Start(recording.Start{Instance: "made", Name: "made"}, tr.Section)
	if err == nil {
		_, err = w.Records(recording.Data{}, tr.Records, tr.Definitions)
	}
	if err := errors.Join(err, w.End(recording.End{Records: 300_000}), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// peakMemory runs ukdbg and returns the most RAM in KiB that it had, looked at
// each millisecond (proc(5), VmHWM). What wait4 tells is not less than what this
// process has.
func peakMemory(t *testing.T, args ...string) (peak int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			return peak
		case <-time.After(time.Millisecond):
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			continue // it has just ended
		}
		if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
			kib := 0
			if _, err := fmt.Sscan(after, &kib); err != nil {
				t.Fatal(err)
			}
			peak = max(peak, kib)
		}
	}
}

// No form takes more than 128 MiB, whatever the trace's length.
func TestTraceExportMemory(t *testing.T) {
	path := longRecording(t)
	for _, form := range []string{"otlp", "perfetto", "chrome", "ctf", "csv", "parquet", "html", "pprof", "folded"} {
		out := filepath.Join(t.TempDir(), "out."+form)
		peak := peakMemory(t, "trace", "export", path, "--format", form, "-o", out)
		t.Logf("%s: %d MiB", form, peak>>10)
		if peak == 0 || peak > 128<<10 {
			t.Errorf("%s took %d KiB, want at most 128 MiB", form, peak)
		}
	}
}
