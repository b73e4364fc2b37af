package vmm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of a process's start time: proc(5), sysconf(_SC_CLK_TCK),
// which is 100 a second on every Linux architecture.
const tick = 10 * time.Millisecond

// Started is when p started, by the host's clock.
func (r Proc) Started(p *Process) (time.Time, error) {
	b, err := os.ReadFile(filepath.Join(string(r), "stat"))
	if err != nil {
		return time.Time{}, err
	}
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			boot, err := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
			return time.Unix(boot, 0).Add(time.Duration(p.StartTime) * tick), err
		}
	}
	return time.Time{}, errors.New("/proc/stat has no btime")
}

// Age is how long ago p started. Unlike Started it does not depend on the host's clock,
// which may be set: it is counted by the one that nobody sets (proc_uptime(5)).
func (r Proc) Age(p *Process) (time.Duration, error) {
	b, err := os.ReadFile(filepath.Join(string(r), "uptime"))
	if err != nil {
		return 0, err
	}
	up, _, _ := bytes.Cut(b, []byte(" "))
	seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(up)), 64)
	if err != nil || !(seconds >= 0 && seconds < 1e10) {
		return 0, fmt.Errorf("/proc/uptime begins with %q", up)
	}
	return time.Duration(seconds*1e9) - time.Duration(p.StartTime)*tick, nil
}
