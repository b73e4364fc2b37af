package symbolizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// Slides are multiples of a page. Loaders of arm64 Images use multiples of
// 2 MiB; nearer ones are tried around a hint.
const (
	pageSize  = 4096
	largePage = 2 << 20
	// maxProbes bounds the candidates tried, each a read of a few bytes.
	maxProbes = 4096
	// probeSize is how much of the code one probe compares, in bytes.
	probeSize = 64
)

// FindSlide finds where the guest loaded an image by comparing code. Hints are
// run-time addresses that are probably in it: the pc of each processor, return
// addresses, an entry the loader printed. Slide 0 is tried first; then, for each
// hint, the slides that put a piece of the image's code with the same bytes
// there; then whole 2 MiB pages up from the link address. A candidate counts
// when Prove agrees. The error wraps ErrNoSlide, or is that of the link.
func FindSlide(ctx context.Context, mem target.Memory, im *Image, hints ...uint64) (uint64, error) {
	code := im.codeSection()
	if code == nil {
		return 0, fmt.Errorf("%s: %w", im.Path, ErrNoBytes)
	}
	p := &prober{ctx: ctx, mem: mem, im: im, code: code, tried: map[uint64]bool{}}
	if p.try(0) {
		return 0, p.err
	}
	for _, h := range hints {
		if slide, ok := p.around(h); ok || p.err != nil {
			return slide, p.err
		}
	}
	for k := uint64(1); k <= 64 && im.Relocatable() && p.err == nil; k++ {
		for _, slide := range []uint64{k * largePage, -(k * largePage)} {
			if p.try(slide) {
				return slide, p.err
			}
		}
	}
	if p.err != nil {
		return 0, p.err
	}
	return 0, fmt.Errorf("%s: %w (%d places tried)", im.Path, ErrNoSlide, len(p.tried))
}

// codeSection is the biggest section of code that the file has bytes of.
func (im *Image) codeSection() *Section {
	var best *Section
	for _, s := range im.alloc {
		if s.Code() && s.raw.length() == s.Size && (best == nil || s.Size > best.Size) {
			best = s
		}
	}
	return best
}

type prober struct {
	ctx   context.Context
	mem   target.Memory
	im    *Image
	code  *Section
	tried map[uint64]bool
	err   error // of the link, which ends the search
}

// try reports whether the image is loaded with slide.
func (p *prober) try(slide uint64) bool {
	if p.err != nil || p.tried[slide] || len(p.tried) >= maxProbes {
		return p.err != nil
	}
	p.tried[slide] = true
	m := Mapping{p.im, slide}
	n := int(min(probeSize, p.code.Size))
	buf := make([]byte, n)
	got, err := p.mem.ReadMemory(p.ctx, buf, m.Run(p.code.Addr))
	if errors.Is(err, target.ErrLost) || p.ctx.Err() != nil {
		p.err = errors.Join(err, p.ctx.Err())
		return true
	}
	if got < n || !bytes.HasPrefix(p.code.raw.bytes(), buf) {
		return false
	}
	id, err := Prove(p.ctx, p.mem, m, ProveOptions{})
	if err != nil {
		p.err = err
		return true
	}
	return id.Match
}

// around reads the guest's code at a hint and looks for the same bytes in the
// image: each place at the same offset in its page is a candidate.
func (p *prober) around(hint uint64) (uint64, bool) {
	buf := make([]byte, probeSize)
	start := hint &^ 15
	n, err := p.mem.ReadMemory(p.ctx, buf, start)
	if errors.Is(err, target.ErrLost) || p.ctx.Err() != nil {
		p.err = errors.Join(err, p.ctx.Err())
		return 0, false
	}
	// A hint in the middle of padding would match everywhere.
	if n < 16 || bytes.Count(buf[:n], buf[:1]) == n {
		return 0, false
	}
	for _, s := range p.im.alloc {
		if !s.Code() || s.raw == nil {
			continue
		}
		raw := s.raw.bytes()
		for off := 0; off < len(raw); {
			i := bytes.Index(raw[off:], buf[:n])
			if i < 0 {
				break
			}
			off += i
			slide := start - (s.Addr + uint64(off))
			if slide%pageSize == 0 && p.try(slide) {
				return slide, p.err == nil
			}
			off++
		}
	}
	return 0, false
}
