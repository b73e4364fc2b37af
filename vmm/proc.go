package vmm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Proc is a mounted proc(5) file system.
type Proc string

// Host is this host's.
const Host Proc = "/proc"

// Limits on what another's process may make us read.
const (
	maxCmdline = 512 << 10 // bytes
	maxArgs    = 4096
	maxStatus  = 64 << 10 // bytes of stat and status
	maxFDs     = 1 << 16  // descriptors of one process looked at
)

// ErrNoProcess says that there is no such process, or none any more.
var ErrNoProcess = errors.New("no such process")

// ErrNotVMM says that a process runs no guest that is known here.
var ErrNotVMM = errors.New("neither QEMU nor Firecracker")

// List returns the VMMs of this host, by process number. One that ends meanwhile
// is not in it.
func List(ctx context.Context) ([]Process, error) { return Host.List(ctx) }

// ByPID reads one process. One that is no VMM comes with ErrNotVMM.
func ByPID(pid int) (Process, error) { return Host.ByPID(pid) }

// List returns the VMMs.
func (r Proc) List(ctx context.Context) ([]Process, error) {
	var out []Process
	err := r.each(ctx, func(pid int) {
		if p, err := r.ByPID(pid); err == nil {
			out = append(out, p)
		}
	})
	return out, err
}

// each calls fn with every process's number, in order of size.
func (r Proc) each(ctx context.Context, fn func(pid int)) error {
	d, err := os.Open(string(r))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the guests of a host are looked for in Linux's /proc, which is not here (reach one by its address: tcp:HOST:PORT, unix:PATH): %w", err)
	}
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, pid := range numbers(names) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fn(pid)
	}
	return nil
}

// ByPID reads one process.
func (r Proc) ByPID(pid int) (Process, error) {
	p, err := r.basics(pid)
	if err != nil {
		return p, err
	}
	p.Kind, p.Arch = kindOf(p.Exe, first(p.Args), p.Comm)
	switch p.Kind {
	case QEMU:
		parseQEMU(&p)
	case Firecracker:
		parseFirecracker(&p)
	default:
		return p, fmt.Errorf("process %d (%s): %w", pid, p.Comm, ErrNotVMM)
	}
	r.resolve(&p)
	p.findManager()
	return p, nil
}

// basics reads what every process has.
func (r Proc) basics(pid int) (Process, error) {
	p := Process{PID: pid, Kind: Other}
	stat, err := r.read(pid, "stat", maxStatus)
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, noProcess(err))
	}
	if p.Comm, p.StartTime, err = parseStat(stat); err != nil {
		return p, fmt.Errorf("process %d: %w", pid, err)
	}
	status, err := r.read(pid, "status", maxStatus)
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, noProcess(err))
	}
	p.UID = parseUID(status)
	cmdline, err := r.read(pid, "cmdline", maxCmdline)
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, noProcess(err))
	}
	p.Args = parseCmdline(cmdline)
	exe, err := os.Readlink(r.path(pid, "exe"))
	p.Exe = strings.TrimSuffix(exe, " (deleted)")
	if errors.Is(err, fs.ErrPermission) {
		p.Unseen = append(p.Unseen, "its program file")
	}
	return p, nil
}

func (r Proc) path(pid int, name string) string {
	return filepath.Join(string(r), strconv.Itoa(pid), name)
}

// read reads at most limit bytes of a file of a process.
func (r Proc) read(pid int, name string, limit int64) ([]byte, error) {
	f, err := os.Open(r.path(pid, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// noProcess turns the errors of a process that ended into ErrNoProcess.
func noProcess(err error) error {
	if errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "no such process") {
		return ErrNoProcess
	}
	return err
}

// parseStat takes comm and field 22, starttime, of proc_pid_stat(5). comm may
// hold anything, so the last ")" ends it.
func parseStat(b []byte) (comm string, start uint64, err error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return "", 0, errors.New("its stat has no name")
	}
	fields := bytes.Fields(b[end+1:])
	if len(fields) < 20 {
		return "", 0, errors.New("its stat is short")
	}
	start, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return string(b[open+1 : end]), start, err
}

// parseUID takes the effective user of proc_pid_status(5).
func parseUID(b []byte) uint32 {
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) >= 3 && string(f[0]) == "Uid:" {
			n, err := strconv.ParseUint(string(f[2]), 10, 32)
			if err == nil {
				return uint32(n)
			}
		}
	}
	return ^uint32(0)
}

func parseCmdline(b []byte) []string {
	var out []string
	for len(b) > 0 && len(out) < maxArgs {
		arg, rest, _ := bytes.Cut(b, []byte{0})
		out = append(out, string(arg))
		b = rest
	}
	return out
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}
