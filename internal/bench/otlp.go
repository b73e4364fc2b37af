package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// spans compares making OTLP bytes of spans with the OpenTelemetry Go SDK, by
// processor time: the SDK works on several threads.
func spans(page *strings.Builder, dir string, n int) error {
	ours, sdk := filepath.Join(dir, "spans"), filepath.Join(dir, "otelsdk")
	if err := build(ours, ".", "./internal/bench/spans"); err != nil {
		return err
	}
	if err := build(sdk, filepath.Join("internal", "bench", "otelsdk"), "."); err != nil {
		return err
	}
	var a, b, ratio []float64
	for range n {
		ra, err := rate(ours, 900_000)
		if err != nil {
			return err
		}
		rb, err := rate(sdk, 150_000)
		if err != nil {
			return err
		}
		a, b, ratio = append(a, ra), append(b, rb), append(ratio, ra/rb)
	}
	fmt.Fprintf(page, "| spans to OTLP bytes, thousands a CPU second | %s | OTel Go SDK: %s | %.1f × (%.1f–%.1f) | at least 8 |\n",
		spread(a), spread(b), median(ratio), slices.Min(ratio), slices.Max(ratio))
	return nil
}

// build builds the command pkg of the module in folder dir.
func build(out, dir, pkg string) error {
	cmd := exec.Command("go", "build", "-C", dir, "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w: %s", pkg, err, text)
	}
	return nil
}

// rate runs a program that prints spans, bytes and CPU seconds, and returns
// thousands of spans a second.
func rate(program string, n int) (float64, error) {
	cmd := exec.Command(program, fmt.Sprint(n))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", program, err, stderr.String())
	}
	var spans, size int
	var seconds float64
	if _, err := fmt.Sscan(string(out), &spans, &size, &seconds); err != nil || spans < n || seconds <= 0 {
		return 0, fmt.Errorf("%s printed %q", program, out)
	}
	return float64(spans) / seconds / 1000, nil
}
