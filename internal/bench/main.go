// Command bench measures ukdbg beside its peers, whole processes in turn on the
// same guest, and writes docs/performance.md. "make bench" runs it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/internal/fakevmm"
)

func main() {
	fakevmm.Main()
	ukdbg := flag.String("ukdbg", "bin/ukdbg", "the program to measure")
	out := flag.String("o", "", "the page to write, stdout if empty")
	n := flag.Int("n", 11, "counted runs of each command")
	only := flag.String("only", "", "measure only this topic: attach, observe, stop, start, symbolize, dumps, trace, otlp, log, record, profile or agent")
	flag.Parse()
	if err := run(*ukdbg, *out, *only, *n); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// work is one comparison: two commands run in turn, A B A B.
type work struct {
	name, goal string
	a, b       command
}

type command struct {
	label string
	args  []string
	stdin string // a file, "" for none
	// out is the file its output goes to, "" to keep it.
	out string
}

func run(ukdbg, out, only string, n int) error {
	ukdbg, err := filepath.Abs(ukdbg)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ukdbg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var page strings.Builder
	fmt.Fprintf(&page, "# Performance\n\nWhole processes in turn on one guest, A B A B; medians (min–max), in ms where nothing else is said. Made by `make bench` on %s:\n%s, Go %s. Shared, noisy machine: trust ratios.\n\n",
		time.Now().Format("2006-01-02"), machine(), runtime.Version())
	fmt.Fprintf(&page, "| work | ukdbg | peer | peer / ukdbg | goal |\n|---|---|---|---|---|\n")
	both := func(f func(arch string) error) error {
		return errors.Join(f("x86_64"), f("arm64"))
	}
	for _, t := range []struct {
		name    string
		measure func() error
	}{
		{"attach", func() error { return both(func(arch string) error { return attach(&page, ukdbg, dir, arch, n) }) }},
		{"observe", func() error { return observe(&page, ukdbg, dir, n) }},
		{"stop", func() error { return oneStop(&page, dir, 100*n) }},
		{"start", func() error { return start(&page, ukdbg, dir, 4*n) }},
		{"symbolize", func() error { return symbolize(&page, ukdbg, dir, n) }},
		{"dumps", func() error { return dumps(&page, ukdbg, dir, n) }},
		{"trace", func() error { return traces(&page, ukdbg, dir, n) }},
		{"otlp", func() error { return spans(&page, dir, n) }},
		{"log", func() error { return consoleLog(&page, ukdbg, dir, n) }},
		{"profile", func() error { return profiles(&page, ukdbg, dir, n) }},
		{"agent", func() error { return errors.Join(watchServing(&page, ukdbg, dir), watchFleet(&page, ukdbg, dir)) }},
		{"record", func() error { return both(func(arch string) error { return traceRecord(&page, dir, arch) }) }},
	} {
		if only != "" && only != t.name {
			continue
		}
		if err := t.measure(); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if out == "" {
		_, err := os.Stdout.WriteString(page.String())
		return err
	}
	fmt.Print(page.String())
	return os.WriteFile(out, []byte(page.String()), 0o644)
}

// start compares starting ukdbg with starting an empty Go program, which is what
// the machine and the runtime cost.
func start(page *strings.Builder, ukdbg, dir string, n int) error {
	src := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return err
	}
	empty := filepath.Join(dir, "empty")
	build := exec.Command("go", "build", "-o", empty, src)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building an empty program: %w: %s", err, text)
	}
	w := work{
		name: "start (`ukdbg version`)", goal: "at most 3 ms",
		a: command{label: "ukdbg", args: []string{ukdbg, "version"}},
		b: command{label: "an empty Go program", args: []string{empty}},
	}
	return w.measure(page, n)
}

func (w work) measure(page *strings.Builder, n int) error {
	var a, b, ratio []float64
	for i := -1; i < n; i++ {
		ta, err := w.a.time()
		if err != nil {
			return err
		}
		tb, err := w.b.time()
		if err != nil {
			return err
		}
		if i < 0 {
			continue // the first pair warms the file cache
		}
		a, b, ratio = append(a, ta), append(b, tb), append(ratio, tb/ta)
	}
	fmt.Fprintf(page, "| %s | %s | %s: %s | %.1f × (%.1f–%.1f) | %s |\n", w.name, spread(a), w.b.label, spread(b),
		median(ratio), slices.Min(ratio), slices.Max(ratio), w.goal)
	return nil
}

// time runs the command once and returns how long it took, in ms.
func (c command) time() (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // crash on a loaded machine
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	var output bytes.Buffer
	cmd.Stderr = &output
	if c.stdin != "" {
		in, err := os.Open(c.stdin)
		if err != nil {
			return 0, err
		}
		defer in.Close()
		cmd.Stdin = in // and what it prints, which is much, goes nowhere
	} else {
		cmd.Stdout = &output
	}
	if c.out != "" {
		file, err := os.Create(c.out)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		cmd.Stdout = file
	}
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, output.String())
	}
	return float64(time.Since(began).Microseconds()) / 1000, nil
}

func median(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

func spread(v []float64) string {
	return fmt.Sprintf("%.1f (%.1f–%.1f)", median(v), slices.Min(v), slices.Max(v))
}

// machine names the processor.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, QEMU without KVM", runtime.NumCPU(), model)
}
