package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// peakMemory is the most RAM in KiB that a process has had since it was started
// as its program (proc(5), VmHWM). What wait4 tells counts the process that
// started it too: a child begins with its parent's memory, and that is far more
// here.
func peakMemory(pid int) (float64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kib float64
			_, err := fmt.Sscan(value, &kib)
			return kib, err
		}
	}
	return 0, fmt.Errorf("%s has no VmHWM", path)
}

// runPeak runs a command and returns its peakMemory, looked at each millisecond:
// what it takes in its last one is not seen.
func runPeak(cmd *exec.Cmd) (peak float64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			return peak, err
		case <-time.After(time.Millisecond):
			// One that has just ended has no memory.
			if kib, err := peakMemory(cmd.Process.Pid); err == nil {
				peak = max(peak, kib)
			}
		}
	}
}
