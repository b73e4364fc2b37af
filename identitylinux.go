package ukdbg

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/kernel/linux"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

// linuxImage is a symbolizer's image as package linux asks for it.
type linuxImage struct{ im *symbolizer.Image }

func (l linuxImage) Symbol(name string) (uint64, bool) {
	s, ok := l.im.SymbolByName(name)
	return s.Addr, ok
}

func (l linuxImage) Data(addr uint64, n int) ([]byte, bool) { return l.im.Data(addr, n) }

// proveLinux finds a Linux kernel by its banner: it changes its own code.
func (s *Session) proveLinux(ctx context.Context, pcs []uint64) error {
	img := linuxImage{s.image}
	var slides []uint64
	if s.dump != nil {
		if slide, ok := s.dump.Slide(0); ok {
			slides = append(slides, slide)
		}
	}
	slide, err := linux.Find(ctx, s.machine, img, slides, pcs)
	switch {
	case err == nil:
		s.mapping = symbolizer.Mapping{Image: s.image, Slide: slide}
		s.identity = symbolizer.Identity{Match: true, Compared: len(linux.Banner(img))}
		return nil
	case errors.Is(err, target.ErrLost):
		return mark(fmt.Errorf("looking for the kernel in the guest: %w", err), ErrUnreachable)
	case !s.opt.Force:
		return mark(fmt.Errorf("%s is not what this guest runs: %w; --force goes on all the same", s.opt.Image, err), ErrMismatch)
	}
	s.mapping = symbolizer.Mapping{Image: s.image}
	s.warning = fmt.Sprintf("the image does not match the guest (%v): every name below may be wrong", err)
	return nil
}
