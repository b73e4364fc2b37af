package guard

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ranSince reports whether the processors of the VM whose VMM is process pid ran
// at or after the moment at, in nanoseconds of CLOCK_MONOTONIC. known is false
// if this kernel does not tell.
//
// A VM that is stopped has its processors' threads kicked for it; one that stood
// before has not. /proc/PID/task/TID/sched tells when a thread was last on a
// processor (se.exec_start, in milliseconds), by a clock of that processor: what
// that is against CLOCK_MONOTONIC is found by going there and looking at
// ourselves. A VM's first processor is the thread that used most time.
func ranSince(pid int, at int64) (ran, known bool) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return false, false
	}
	var busiest string
	var most uint64
	for _, t := range tasks {
		if filepath.Base(t) == strconv.Itoa(pid) {
			continue // the VMM's own loop
		}
		if f := statFields(t); len(f) >= 13 {
			user, _ := strconv.ParseUint(f[11], 10, 64) // fields 14 and 15
			system, _ := strconv.ParseUint(f[12], 10, 64)
			if user+system > most {
				busiest, most = t, user+system
			}
		}
	}
	if busiest == "" {
		return false, false
	}
	f := statFields(busiest)
	last, ok := execStart(busiest)
	if !ok || len(f) < 37 {
		return false, false
	}
	cpu, err := strconv.Atoi(f[36]) // field 39, processor
	if err != nil {
		return false, false
	}
	offset, ok := clockOf(cpu)
	if !ok {
		return false, false
	}
	return last+offset >= time.Duration(at)-lastRunSlack, true
}

// lastRunSlack is how exact the comparison is: a tick of the scheduler.
const lastRunSlack = 4 * time.Millisecond

// statFields are the fields of a stat file from the third on (proc(5)).
func statFields(task string) []string {
	text, err := os.ReadFile(filepath.Join(task, "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// execStart is when a thread was last on a processor, by that one's clock.
func execStart(task string) (time.Duration, bool) {
	text, err := os.ReadFile(filepath.Join(task, "sched"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "se.exec_start" {
			ms, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return time.Duration(ms * float64(time.Millisecond)), err == nil
		}
	}
	return 0, false
}

// clockOf is what must be added to a processor's scheduler clock to have
// CLOCK_MONOTONIC.
func clockOf(cpu int) (time.Duration, bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if unix.SchedGetaffinity(0, &before) != nil {
		return 0, false
	}
	only.Set(cpu)
	if unix.SchedSetaffinity(0, &only) != nil {
		return 0, false
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }() // it was ours a moment ago
	// Being scheduled anew brings exec_start up to date.
	time.Sleep(time.Millisecond)
	mine, ok := execStart(fmt.Sprintf("/proc/self/task/%d", unix.Gettid()))
	return time.Duration(monotonic()) - mine, ok
}
