package ukdbg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
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
	if o.Log != "" {
		cpus, _ := dump.CPUs(ctx)
		if s.logged, err = loggedFault(o.Log, dump.Arch()); err != nil && (len(cpus) == 0 || !errors.Is(err, errNoScreen)) {
			return errors.Join(err, dump.Close())
		}
		if len(cpus) == 0 {
			regs, _ := s.logged.Regs()
			m = givenCPUs{Dump: dump, regs: []target.Regs{regs}}
		}
	}
	s.dump, s.machine, s.arch = dump, newProcessors(m), dump.Arch()
	if info, ok := dump.Info(); ok && info.StopCPU >= 0 {
		s.stopCPU = target.CPU(info.StopCPU)
	}
	return nil
}

// givenCPUs is a dump without registers, whose processors have those that were
// found elsewhere: in a fault screen, or on a stack.
type givenCPUs struct {
	*corefile.Dump
	regs []target.Regs
	how  map[target.CPU]string // where else, if not in a fault screen
}

func (g givenCPUs) CPUs(context.Context) ([]target.CPU, error) {
	all := make([]target.CPU, len(g.regs))
	for i := range all {
		all[i] = target.CPU(i)
	}
	return all, nil
}

func (g givenCPUs) ReadRegisters(_ context.Context, cpu target.CPU) (target.Regs, error) {
	if cpu < 0 || int(cpu) >= len(g.regs) {
		return target.Regs{}, fmt.Errorf("there are no registers of CPU %d", cpu)
	}
	return g.regs[cpu], nil
}

func (g givenCPUs) ReadSystemRegisters(context.Context, target.CPU) (map[string][]byte, error) {
	return nil, target.ErrUnsupported
}

// errNoScreen: a console log has no fault with registers. An assertion's has none.
var errNoScreen = errors.New("no fault screen with registers")

// loggedFault is the last fault with registers in a console log.
func loggedFault(path string, a *arch.Arch) (*asserts.Fault, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, mark(err, ErrUsage)
	}
	defer f.Close()
	var last *asserts.Fault
	sc := asserts.NewScanner(f)
	for sc.Scan() {
		if r, ok := sc.Fault().Regs(); ok && r.Arch == a {
			last = sc.Fault()
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if last == nil {
		return nil, mark(fmt.Errorf("%s has %w of %s", path, errNoScreen, a.Name), ErrUsage)
	}
	return last, nil
}

// LooksLikeRAM reports whether a file of no known format, that begins with head,
// could be RAM as it is and no text: whole pages, and many zero bytes.
func LooksLikeRAM(head []byte, size int64) bool {
	return size >= 1<<20 && size%4096 == 0 && bytes.Count(head, []byte{0}) > len(head)/4
}
