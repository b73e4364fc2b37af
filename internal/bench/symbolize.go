package main

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/guest/images"
)

// manyAddresses is how many a bulk run resolves.
const manyAddresses = 100_000

// maxPeak is what a bulk run on a big image may take at its peak, in KiB.
const maxPeak = 400 << 10

// symbolize compares naming addresses with the tools people use for it: on the
// guest's image, and with BIG=1 on Debian's vmlinux with debug information.
func symbolize(page *strings.Builder, ukdbg, dir string, n int) error {
	rust, err := rustAddr2line()
	if err != nil {
		return err
	}
	img, err := images.Find("ukguest-x86_64")
	if err != nil {
		return err
	}
	_, dbg, err := img.Extract(dir)
	if err != nil {
		return err
	}
	if err := names(page, ukdbg, rust, dir, "unikernel `.dbg`", dbg, n, [2]string{"at least 0.5", "at least 1.33"}); err != nil {
		return err
	}
	if err := unwindFrame(page); err != nil {
		return err
	}
	if os.Getenv("BIG") != "1" {
		return nil
	}
	out, err := exec.Command("scripts/vmlinux.sh").Output()
	if err != nil {
		return fmt.Errorf("scripts/vmlinux.sh: %w", err)
	}
	return names(page, ukdbg, rust, dir, "vmlinux", strings.TrimSpace(string(out)), min(n, 5), [2]string{"at least 2", "at least 2"})
}

// names measures one address and many of an image. goals are those beside
// eu-addr2line for one, and beside Rust's addr2line for many.
func names(page *strings.Builder, ukdbg, rust, dir, what, image string, n int, goals [2]string) error {
	one, err := addresses(dir, image, 1)
	if err != nil {
		return err
	}
	many, err := addresses(dir, image, manyAddresses)
	if err != nil {
		return err
	}
	ours := []string{ukdbg, "symbolize", "-e", image, "--output-style", "llvm"}
	gnu := []string{"-f", "-i", "-e", image}
	first := work{
		name: "1 address, " + what, goal: goals[0],
		a: command{label: "ukdbg", args: ours, stdin: one},
		b: command{label: "eu-addr2line", args: append([]string{"eu-addr2line"}, gnu...), stdin: one},
	}
	if err := first.measure(page, n); err != nil {
		return err
	}
	for _, b := range []command{
		{label: "llvm-symbolizer 14", args: []string{"llvm-symbolizer-14", "--obj=" + image}, stdin: one},
		{label: "GNU addr2line", args: append([]string{"addr2line"}, gnu...), stdin: one},
		{label: "gdb", args: []string{"gdb-multiarch", "-nx", "-batch", "-ex", "info line *" + firstLine(one), image}, stdin: ""},
	} {
		if err := (work{name: "1 address, " + what, goal: "–", a: command{label: "ukdbg", args: ours, stdin: one}, b: b}).measure(page, n); err != nil {
			return err
		}
	}
	bulk := fmt.Sprintf("%d addresses with inlined calls, %s", manyAddresses, what)
	// GNU addr2line and gdb take minutes for many addresses of a big image.
	for _, w := range []work{
		{name: bulk, goal: goals[1], b: command{label: "Rust addr2line 0.19", args: append([]string{rust}, gnu...), stdin: many}},
		{name: bulk, goal: "–", b: command{label: "llvm-symbolizer 14", args: []string{"llvm-symbolizer-14", "--obj=" + image}, stdin: many}},
	} {
		w.a = command{label: "ukdbg", args: ours, stdin: many}
		if err := w.measure(page, n); err != nil {
			return err
		}
	}
	peak, err := (command{label: "ukdbg", args: ours, stdin: many}).peak()
	if err != nil {
		return err
	}
	other, err := (command{label: "", args: append([]string{rust}, gnu...), stdin: many}).peak()
	if err != nil {
		return err
	}
	fmt.Fprintf(page, "| its peak memory, MiB | %.0f | Rust addr2line 0.19: %.0f | %.1f × | at most %d |\n", peak/1024, other/1024, other/peak, maxPeak>>10)
	return nil
}

// addresses writes n random addresses of the .text of an image, the same ones
// each time, and returns the file.
func addresses(dir, image string, n int) (string, error) {
	f, err := elf.Open(image)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text := f.Section(".text")
	if text == nil {
		return "", fmt.Errorf("%s has no .text", image)
	}
	r := rand.New(rand.NewPCG(4, 100_000))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%#x\n", text.Addr+r.Uint64N(text.Size))
	}
	path := filepath.Join(dir, fmt.Sprintf("%s.%d", filepath.Base(image), n))
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "0"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// peak runs the command once and returns its peak memory in KiB.
func (c command) peak() (float64, error) {
	in, err := os.Open(c.stdin)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Stdin = in
	kib, err := runPeak(cmd)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(c.args, " "), err)
	}
	return kib, nil
}

var perFrame = regexp.MustCompile(`([0-9.]+) ns/frame.*\s([0-9]+) allocs/op`)

// unwindFrame runs the package's own benchmark: the work is far below the start of
// a process.
func unwindFrame(page *strings.Builder) error {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "BenchmarkFrame", "-benchmem", "-count", "5", "./symbolizer/unwind").Output()
	if err != nil {
		return fmt.Errorf("benchmark of package unwind: %w: %s", err, out)
	}
	var ns []float64
	allocs := ""
	for _, m := range perFrame.FindAllStringSubmatch(string(out), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return err
		}
		ns, allocs = append(ns, v), m[2]
	}
	if len(ns) == 0 {
		return fmt.Errorf("benchmark of package unwind printed no result: %s", out)
	}
	fmt.Fprintf(page, "| one frame by call frame information, in process, ns | %s, %s allocations | – | – | at most 300, 0 allocations |\n", spread(ns), allocs)
	return nil
}
