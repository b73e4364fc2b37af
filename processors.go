package ukdbg

import (
	"context"
	"errors"
	"maps"

	"github.com/ukdbg/ukdbg/target"
)

// processors is a machine whose register sets are read once an epoch: attach,
// the kernel's threads and a backtrace all want them. How many processors there
// are is asked once.
type processors struct {
	machine
	cpus []target.CPU
	regs map[target.CPU]target.Regs
	lost error // reading registers found the target lost, in this epoch
}

func newProcessors(m machine) *processors {
	return &processors{machine: m, regs: map[target.CPU]target.Regs{}}
}

// forget drops the registers, because the guest ran or was written.
func (p *processors) forget() {
	clear(p.regs)
	p.lost = nil
	if m, ok := p.machine.(interface{ Forget() }); ok {
		m.Forget()
	}
}

// known is a copy of the registers read in this epoch.
func (p *processors) known() map[target.CPU]target.Regs { return maps.Clone(p.regs) }

// readAll reads the registers of every processor.
func (p *processors) readAll(ctx context.Context) error {
	cpus, err := p.CPUs(ctx)
	for _, cpu := range cpus {
		if _, err := p.ReadRegisters(ctx, cpu); err != nil {
			return err
		}
	}
	return err
}

// moved reports whether a processor is at another place than before, of its code
// or its stack.
func (p *processors) moved(before map[target.CPU]target.Regs) bool {
	for cpu, r := range p.regs {
		if old, ok := before[cpu]; !ok || old.PC() != r.PC() || old.SP() != r.SP() {
			return true
		}
	}
	return false
}

func (p *processors) CPUs(ctx context.Context) ([]target.CPU, error) {
	if p.cpus == nil {
		cpus, err := p.machine.CPUs(ctx)
		if err != nil {
			return nil, err
		}
		p.cpus = cpus
	}
	return p.cpus, nil
}

func (p *processors) ReadRegisters(ctx context.Context, cpu target.CPU) (target.Regs, error) {
	if r, ok := p.regs[cpu]; ok {
		return r, nil
	}
	r, err := p.machine.ReadRegisters(ctx, cpu)
	switch {
	case err == nil:
		p.regs[cpu] = r
	case errors.Is(err, target.ErrLost):
		p.lost = err
	}
	return r, err
}

// ReadMany hands on the power to read many ranges in one go.
func (p *processors) ReadMany(ctx context.Context, r []target.Range) error {
	return target.ReadMany(ctx, p.machine, r)
}
