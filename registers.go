package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// CPUs are the guest's processors.
func (s *Session) CPUs() []target.CPU { return s.cpus }

// Registers are those of a processor at this moment. An error that is
// target.ErrUnsupported says that this way to the guest shows none.
func (s *Session) Registers(ctx context.Context, cpu target.CPU) (target.Regs, error) {
	return s.machine.ReadRegisters(ctx, cpu)
}
