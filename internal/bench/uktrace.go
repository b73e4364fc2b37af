package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
)

// benchLine is what the guest prints under the boot option tracebench: tenths of
// a tick of its processor's counter.
var benchLine = regexp.MustCompile(`uktrace bench: (plain|ring|disabled) (\d+) \((\d+)-(\d+)\)`)

// traceRecord compares what a record costs in uktrace's ring and in the plain
// buffer, measured by the guest itself, in turn.
func traceRecord(page *strings.Builder, dir, arch string) error {
	img, err := images.Find("ukguest-" + arch + "-ring")
	if err != nil {
		return err
	}
	kernel, _, err := img.Extract(dir)
	if err != nil {
		return err
	}
	args := []string{"qemu-system-x86_64", "-machine", "pc"}
	if arch == "arm64" {
		args = []string{"qemu-system-aarch64", "-machine", "virt"}
	}
	args = append(args, "-cpu", "max", "-m", "64M", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", kernel, "-append", "tracebench exit=1")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	cost := map[string][3]float64{}
	for _, m := range benchLine.FindAllStringSubmatch(string(out), -1) {
		var v [3]float64
		for i := range v {
			tenths, err := strconv.ParseFloat(m[i+2], 64)
			if err != nil {
				return err
			}
			v[i] = tenths / 10
		}
		cost[m[1]] = v
	}
	if len(cost) != 3 {
		return fmt.Errorf("the guest's console has no benchmark: %s", out)
	}
	text := func(v [3]float64) string { return fmt.Sprintf("%.1f (%.1f–%.1f)", v[0], v[1], v[2]) }
	fmt.Fprintf(page, "| a trace record with int, string, int, ticks in the guest, %s | uktrace's ring: %s; switched off: %.1f | plain buffer: %s | %.1f × | – |\n",
		arch, text(cost["ring"]), cost["disabled"][0], text(cost["plain"]), cost["plain"][0]/cost["ring"][0])
	return nil
}
