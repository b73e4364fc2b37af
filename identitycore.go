package ukdbg

import (
	"context"
	"errors"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

// proveProcess compares the image with a process's core, which tells where the
// image lies but lacks its code: whatever of it is there counts, and the build
// id, which is on the page that Linux always writes.
func (s *Session) proveProcess(ctx context.Context) (bool, error) {
	slide, ok := s.dump.Slide(s.image.Entry())
	if !ok {
		return false, nil
	}
	s.mapping = symbolizer.Mapping{Image: s.image, Slide: slide}
	var err error
	s.identity, err = symbolizer.Prove(ctx, s.machine, s.mapping, symbolizer.ProveOptions{Full: true})
	if err != nil {
		return false, err
	}
	if !s.identity.Match && s.identity.Differs == 0 && s.identity.Unreadable > 0 && s.sameBuildID(ctx) {
		s.identity.Match = true
	}
	if s.identity.Match && s.identity.Unreadable > 0 {
		s.mem = memory(newCache(completed{s.machine.machine, s.mapping}))
	}
	return s.identity.Match, nil
}

// sameBuildID compares the image's build id with the one in the guest's memory.
func (s *Session) sameBuildID(ctx context.Context) bool {
	for _, sec := range s.image.Sections() {
		if sec.Name != ".note.gnu.build-id" || sec.Size == 0 || sec.Size > 256 {
			continue
		}
		want, ok := s.image.Data(sec.Addr, int(sec.Size))
		got := make([]byte, len(want))
		if ok && target.ReadFull(ctx, s.machine, got, s.mapping.Run(sec.Addr)) == nil && string(got) == string(want) {
			s.identity.Compared += len(want)
			return true
		}
	}
	return false
}

// completed is a core's memory with the image's own read-only bytes where the
// core leaves them out.
type completed struct {
	machine
	mapping symbolizer.Mapping
}

func (c completed) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	done := 0
	for {
		n, err := c.machine.ReadMemory(ctx, p[done:], addr+uint64(done))
		done += n
		var hole *target.FaultError
		if done == len(p) || !errors.As(err, &hole) {
			return done, err
		}
		got := c.fromImage(p[done:], addr+uint64(done))
		if got == 0 {
			return done, err
		}
		done += got
		if done == len(p) {
			return done, nil
		}
	}
}

// fromImage reads a piece of a read-only section.
func (c completed) fromImage(p []byte, addr uint64) int {
	link := c.mapping.Link(addr)
	sec, ok := c.mapping.Image.SectionAt(link)
	if !ok || !sec.ReadOnly() {
		return 0
	}
	n := int(min(uint64(len(p)), sec.Addr+sec.Size-link))
	b, ok := c.mapping.Image.Data(link, n)
	if !ok {
		return 0
	}
	return copy(p, b)
}
