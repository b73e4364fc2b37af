package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/target"
)

// IsDump reports whether a file that begins with head is a memory dump, in
// contrast to a console log. Raw RAM is not known by its first bytes.
func IsDump(head []byte) bool { return corefile.Recognised(head) }

// openDump opens the target as a dump.
func (s *Session) openDump(ctx context.Context) error {
	o := s.opt.Dump
	opt := corefile.Options{Base: o.Base, Machine: o.Machine, Memory: o.Memory}
	if s.image != nil {
		opt.Arch = s.image.Arch()
	}
	dump, err := corefile.OpenWith(s.spec.Addr, opt)
	if err != nil {
		return err
	}
	m := machine(dump)
	if cpus, _ := dump.CPUs(ctx); len(cpus) == 0 && o.Log != "" {
		if m, err = loggedRegisters(dump, o.Log); err != nil {
			return errors.Join(err, dump.Close())
		}
	}
	s.dump, s.machine, s.arch = dump, newProcessors(m), dump.Arch()
	if info, ok := dump.Info(); ok && info.StopCPU >= 0 {
		s.stopCPU = target.CPU(info.StopCPU)
	}
	return nil
}

// loggedCPU is a dump without registers, whose one processor has those of a
// fault screen.
type loggedCPU struct {
	*corefile.Dump
	regs target.Regs
}

func (l loggedCPU) CPUs(context.Context) ([]target.CPU, error) { return []target.CPU{0}, nil }

func (l loggedCPU) ReadRegisters(_ context.Context, cpu target.CPU) (target.Regs, error) {
	if cpu != 0 {
		return target.Regs{}, fmt.Errorf("the log has no registers of CPU %d", cpu)
	}
	return l.regs, nil
}

func (l loggedCPU) ReadSystemRegisters(context.Context, target.CPU) (map[string][]byte, error) {
	return nil, target.ErrUnsupported
}

// loggedRegisters adds the registers of the last fault in a console log to a
// dump.
func loggedRegisters(d *corefile.Dump, path string) (machine, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, mark(err, ErrUsage)
	}
	defer f.Close()
	var regs target.Regs
	found := false
	sc := asserts.NewScanner(f)
	for sc.Scan() {
		if r, ok := sc.Fault().Regs(); ok && r.Arch == d.Arch() {
			regs, found = r, true
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !found {
		return nil, mark(fmt.Errorf("%s has no fault screen with registers of %s", path, d.Arch().Name), ErrUsage)
	}
	return loggedCPU{d, regs}, nil
}
