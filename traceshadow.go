package ukdbg

import (
	"context"
	"errors"
	"strconv"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// openShadow opens the memory of the session's guest in its VMM's process, which
// can be read while the guest runs. The error says why it cannot be.
func (s *Session) openShadow(ctx context.Context) (observer, error) {
	o, err := s.openVMM(ctx)
	if err != nil {
		return nil, err
	}
	// The same guest: the same bytes at the same place.
	loc, err := s.kernel.TraceBuffer()
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return s.sameGuest(ctx, o, loc.Writep)
}

// openBehind opens the memory of a guest that stands, behind its stub.
func (s *Session) openBehind(ctx context.Context) (observer, error) {
	o, err := s.openVMM(ctx)
	if err != nil {
		return nil, err
	}
	regs, err := s.machine.ReadRegisters(ctx, s.stopCPU)
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return s.sameGuest(ctx, o, regs.SP()&^7, regs.PC()&^7)
}

// sameGuest closes o unless it has the words that the session's guest has.
func (s *Session) sameGuest(ctx context.Context, o observer, words ...uint64) (observer, error) {
	for _, addr := range words {
		var here, there [8]byte
		err := errors.Join(target.ReadFull(ctx, s.mem, here[:], addr), target.ReadFull(ctx, o, there[:], addr))
		if err == nil && here != there {
			err = errors.New("the VMM's memory is not this guest's")
		}
		if err != nil {
			return nil, errors.Join(err, o.Close())
		}
	}
	return o, nil
}

// openVMM opens the VMM that listens where the session's stub is.
func (s *Session) openVMM(ctx context.Context) (observer, error) {
	if s.spec.Scheme != target.TCP && s.spec.Scheme != target.Unix {
		return nil, errors.New("the way to the guest does not tell its VMM")
	}
	found, err := vmm.ByListener(ctx, s.spec.String())
	if err != nil {
		return nil, err
	}
	if len(found) != 1 || found[0].Kind != vmm.QEMU {
		return nil, errors.New("no QEMU of this host listens there")
	}
	return openObserver(ctx, target.Spec{Scheme: target.PID, Addr: strconv.Itoa(found[0].PID)}, s.image, s.opt)
}
