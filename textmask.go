package ukdbg

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// textMask is the guest's memory without the breakpoints other debuggers have in
// its code. A stub under KVM writes them into memory, where they are as long as the
// guest runs, and stay if their debugger died. Where a session's journal tells of
// them they are masked below (livevm); here the image tells what belongs in their
// place, once it is proved to be the guest's. What was masked is told.
type textMask struct {
	mem target.Memory
	s   *Session
}

// without makes memory of mem that shows no other debugger's breakpoints.
func (s *Session) without(mem target.Memory) target.Memory { return textMask{mem, s} }

func (t textMask) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	n, err := t.mem.ReadMemory(ctx, p, addr)
	t.s.maskText(p[:max(0, min(n, len(p)))], addr)
	return n, err
}

func (t textMask) ReadMany(ctx context.Context, ranges []target.Range) error {
	err := target.ReadMany(ctx, t.mem, ranges)
	for i := range ranges {
		r := &ranges[i]
		t.s.maskText(r.Data[:max(0, min(r.N, len(r.Data)))], r.Addr)
	}
	return err
}

// maxForeign bounds the breakpoints of others that are remembered to be told.
const maxForeign = 256

// maskText puts the image's bytes in the place of breakpoints in code that was read
// at addr. Our own are masked by the stub's client.
func (s *Session) maskText(p []byte, addr uint64) {
	if s.image == nil || s.arch == nil || !s.identity.Match || s.mapping.Image == nil {
		return
	}
	n := len(s.arch.Breakpoint)
	if n == 0 || len(p) < n || !s.mayBeText(addr, len(p)) {
		return
	}
	for off := 0; ; {
		i := bytes.Index(p[off:], s.arch.Breakpoint)
		if i < 0 {
			return
		}
		off += i
		at := addr + uint64(off)
		link := s.mapping.Link(at)
		if sec, ok := s.image.SectionAt(link); ok && sec.Code() && at%uint64(n) == 0 {
			if want, ok := s.image.Data(link, n); ok && !bytes.Equal(want, s.arch.Breakpoint) {
				copy(p[off:], want)
				s.noteForeign(at)
			}
		}
		off += n
	}
}

// mayBeText reports whether a range touches the image at all.
func (s *Session) mayBeText(addr uint64, n int) bool {
	last := addr + uint64(n-1)
	for _, seg := range s.image.Segments() {
		start := s.mapping.Run(seg.Addr)
		if size := seg.MemSize; size > 0 && addr <= start+size-1 && last >= start {
			return true
		}
	}
	return false
}

func (s *Session) noteForeign(at uint64) {
	if len(s.foreign) < maxForeign && !slices.Contains(s.foreign, at) {
		s.foreign = append(s.foreign, at)
	}
}

// ForeignText tells of breakpoints in the guest's code that are another debugger's, as
// far as code was looked at, "" if none was seen.
func (s *Session) ForeignText() string {
	for _, at := range s.identity.Breakpoints {
		s.noteForeign(at)
	}
	if len(s.foreign) == 0 {
		return ""
	}
	at := s.foreign[0]
	text := fmt.Sprintf("another debugger's breakpoint at %s", s.named(at))
	if n := len(s.foreign) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text + ": the code is shown as it is without"
}
