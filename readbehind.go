package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/target/mmu"
)

// readBehind has the memory of a guest that stands behind a stub read in its
// VMM's process, where that is on this host: a stub hands out some 2 KiB at a
// time, and an arm64 guest stood 1.5 s for a minimal dump. Registers and page
// tables' roots stay the stub's. The function it returns ends it; it does nothing
// where the process is not to be had.
func (s *Session) readBehind(ctx context.Context) (end func()) {
	none := func() {}
	if s.live == nil || s.observer != nil || s.behind != nil {
		return none
	}
	root, _, err := s.addressSpace(ctx)
	if err != nil {
		return none
	}
	behind, err := s.openBehind(ctx)
	if err != nil {
		return none
	}
	phys := behind.Physical()
	if phys == nil {
		_ = behind.Close() // nothing of it was used
		return none
	}
	over := s.mem
	s.behind = behind
	s.mem = newCache(s.without(mmu.Virtual(phys, root)))
	return func() { s.mem = over }
}
