package guard

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// startTime is when a process started, in clock ticks since boot: field 22 of
// /proc/PID/stat (proc(5)). The second field is the name in parentheses and may
// hold anything.
func startTime(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// alive reports whether p still is. Zombies are not.
func alive(p journal.Process) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		return false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return false
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return err == nil && start == p.Start
}
