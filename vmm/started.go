package vmm

import (
	"bytes"
	"errors"
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
