package agent

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg/vmm"
)

const (
	// young is for how long after it is first seen a process is looked at in full
	// each time: a shell that is about to become a VMM, a VMM whose name is not set.
	young = 10 * time.Second
	// turns is over how many scans the older ones are, one part at each.
	turns = 16
	// tick is the unit of CPU times in /proc/PID/stat: USER_HZ is 100 for all
	// architectures of Linux that ukdbg runs on.
	tick = 10 * time.Millisecond
	// maxStat bounds a process's stat, in bytes.
	maxStat = 4096
)

// scanner finds the VMMs of the host again and again. What a process is, is
// remembered: each time it is asked only for what one small file tells.
type scanner struct {
	proc  vmm.Proc
	known map[int]*process
	turn  int
	buf   [maxStat]byte
}

// process is one of the host's.
type process struct {
	start uint64 // as vmm.Process.StartTime
	comm  string
	seen  time.Time
	scan  int // the last one that saw it
	// vmm is nil for other processes.
	vmm *vmm.Process
	cpu time.Duration // that all its threads used
}

func newScanner(proc vmm.Proc) *scanner { return &scanner{proc: proc, known: map[int]*process{}} }

// scan returns the VMMs there are now, by process number. They are the scanner's.
func (s *scanner) scan(ctx context.Context, now time.Time) ([]*process, error) {
	d, err := os.Open(string(s.proc))
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return nil, err
	}
	s.turn++
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			s.look(pid, name, now)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	var out []*process
	for pid, p := range s.known {
		if p.scan != s.turn {
			delete(s.known, pid)
		} else if p.vmm != nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *process) int { return a.vmm.PID - b.vmm.PID })
	return out, nil
}

// look brings what is known of a process up to date.
func (s *scanner) look(pid int, name string, now time.Time) {
	st, ok := s.stat(name)
	if !ok {
		return
	}
	p := s.known[pid]
	full := false
	if p == nil || p.start != st.start {
		p = &process{start: st.start, seen: now}
		s.known[pid] = p
		full = true
	}
	full = full || string(st.comm) != p.comm || now.Sub(p.seen) < young || pid%turns == s.turn%turns
	p.scan, p.cpu = s.turn, st.cpu
	if !full {
		return
	}
	p.comm = string(st.comm)
	v, err := s.proc.ByPID(pid)
	switch {
	case errors.Is(err, vmm.ErrNotVMM):
		p.vmm = nil
	case err != nil:
		// It ends, or may not be looked at; what was known of it holds.
	case v.StartTime != p.start:
		p.scan = 0 // another process meanwhile: the next scan sees it
	case p.vmm == nil || !slices.Equal(p.vmm.Args, v.Args):
		p.vmm = &v
	}
}

// stat is what is used of /proc/PID/stat.
type stat struct {
	comm  []byte // valid until the next one is read
	start uint64
	cpu   time.Duration
}

func (s *scanner) stat(name string) (st stat, ok bool) {
	fd, err := syscall.Open(string(s.proc)+"/"+name+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return st, false
	}
	n, err := syscall.Read(fd, s.buf[:])
	syscall.Close(fd)
	if err != nil || n <= 0 {
		return st, false
	}
	return parseStat(s.buf[:n])
}

// parseStat reads proc_pid_stat(5): the name may hold anything, so the last ")"
// ends it. Behind it come field 3 and so on.
func parseStat(b []byte) (st stat, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return st, false
	}
	st.comm = b[open+1 : end]
	b = b[end+1:]
	var used uint64
	for field := 3; field <= 22; field++ {
		b = bytes.TrimLeft(b, " ")
		var word []byte
		if i := bytes.IndexByte(b, ' '); i >= 0 {
			word, b = b[:i], b[i:]
		} else {
			word, b = b, nil
		}
		if field != 14 && field != 15 && field != 22 {
			continue
		}
		n, ok := number(bytes.TrimSpace(word))
		if !ok {
			return st, false
		}
		if field == 22 {
			st.start = n
		} else {
			used += n
		}
	}
	if used > uint64(math.MaxInt64/tick) {
		return st, false
	}
	st.cpu = time.Duration(used) * tick
	return st, true
}

// number reads a decimal number of at most 1<<62.
func number(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<58 {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, len(b) > 0
}
