package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// ground is the machine the session has now, in one piece for the kernel, which
// outlives a change of machine: an observed guest that gets a stub, and back.
type ground struct{ s *Session }

func (g ground) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	return g.s.mem.ReadMemory(ctx, p, addr)
}

func (g ground) ReadMany(ctx context.Context, r []target.Range) error {
	return g.s.mem.ReadMany(ctx, r)
}

func (g ground) CPUs(ctx context.Context) ([]target.CPU, error) { return g.s.machine.CPUs(ctx) }

func (g ground) ReadRegisters(ctx context.Context, cpu target.CPU) (target.Regs, error) {
	return g.s.machine.ReadRegisters(ctx, cpu)
}

func (g ground) ReadSystemRegisters(ctx context.Context, cpu target.CPU) (map[string][]byte, error) {
	sr, ok := g.s.machine.machine.(target.SystemRegisters)
	if !ok {
		return nil, target.ErrUnsupported
	}
	return sr.ReadSystemRegisters(ctx, cpu)
}
