package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/kernel/linux"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// prove finds where the image lies in the guest and compares its bytes.
func (s *Session) prove(ctx context.Context) error {
	var pcs []uint64
	if s.observer != nil {
		// The way to a running guest can have found the image already.
		pcs = append(pcs, s.observer.Hints()...)
	}
	for _, cpu := range s.cpus {
		regs, err := s.machine.ReadRegisters(ctx, cpu)
		if err != nil {
			return mark(fmt.Errorf("reading registers of CPU %d: %w", cpu, err), ErrUnreachable)
		}
		pcs = append(pcs, regs.PC())
	}
	if s.isLinux {
		return s.proveLinux(ctx, pcs)
	}
	if s.dump != nil && s.dump.Process() {
		if ok, err := s.proveProcess(ctx); ok || err != nil {
			return err
		}
	}
	// Most images lie where they were linked, so that is tried first. The
	// comparison goes past the cache: the samples are small and far apart.
	if err := s.compare(ctx, 0, pcs); err != nil || s.identity.Match {
		return err
	}
	slide, err := symbolizer.FindSlide(ctx, s.machine, s.image, pcs...)
	if err == nil {
		if err := s.compare(ctx, slide, pcs); err != nil || s.identity.Match {
			return err
		}
		err = errors.New(s.identity.String())
	}
	if errors.Is(err, target.ErrLost) {
		return mark(fmt.Errorf("comparing the image with the guest: %w", err), ErrUnreachable)
	}
	if !s.opt.Force {
		return mark(fmt.Errorf("%s is not what this guest runs: %w; --force goes on all the same", s.opt.Image, err), ErrMismatch)
	}
	s.warning = fmt.Sprintf("the image does not match the guest (%v): every name below may be wrong", err)
	return nil
}

// compare takes the image to lie at a slide and compares its bytes with the
// guest's. The error is that of the link.
func (s *Session) compare(ctx context.Context, slide uint64, pcs []uint64) error {
	s.mapping = symbolizer.Mapping{Image: s.image, Slide: slide}
	var err error
	if s.identity, err = symbolizer.Prove(ctx, s.machine, s.mapping, symbolizer.ProveOptions{Around: pcs}); err != nil {
		if notThisImage(err) {
			return mark(err, ErrMismatch)
		}
		return mark(fmt.Errorf("comparing the image with the guest: %w", err), ErrUnreachable)
	}
	return nil
}

// Warning is what the person must know of the whole session, "" if nothing.
func (s *Session) Warning() string { return s.warning }

// recognise prepares what needs the image: types, expressions, the kernel, and
// the unwinder that knows its traps.
func (s *Session) recognise() error {
	var opt unwind.Options
	img := s.kernelImage
	switch {
	case s.isLinux:
		s.noKernel = "a Linux " + linux.Release(linux.Banner(linuxImage{s.image})) + ", whose tasks are not listed: each processor is shown with what it ran"
	case !unikraft.Detect(img):
		s.noKernel = "the image is no kernel known here"
	case s.types == nil:
		s.noKernel = fmt.Sprintf("a Unikraft, but its layout is not known: %v", s.typesErr)
	default:
		g := ground{s}
		cfg := unikraft.Config{Image: img, Memory: g, CPUs: g, System: g, Slide: s.mapping.Slide}
		k, err := unikraft.New(cfg)
		if err != nil {
			s.noKernel = err.Error()
			break
		}
		s.kernel = k
		opt = k.UnwindOptions()
	}
	s.loads.unwinds = opt
	s.unwinder = unwind.New(s.mappings(), opt)
	return nil
}

// HasKernel reports whether the guest's kernel is known.
func (s *Session) HasKernel() bool { return s.kernel != nil }

// NoKernel says why no kernel is known, "" if one is.
func (s *Session) NoKernel() string { return s.noKernel }

// KernelVersion is what the guest's kernel calls itself, both "" if none is known.
func (s *Session) KernelVersion() (name, version string) {
	if s.kernel == nil {
		return "", ""
	}
	return s.kernel.Name(), s.kernel.Version()
}

// ImageHash is the content hash of the session's image, "" without one.
func (s *Session) ImageHash() string {
	if s.image == nil {
		return ""
	}
	return s.image.ContentHash()
}

// Banner is what a session begins with: what was found, and what this way to
// the guest must do without.
func (s *Session) Banner(ctx context.Context) []string {
	lines := s.introduction(ctx)
	var way any = s.live
	if s.Observing() {
		way = s.observer
		lines = append(lines, s.observingText())
	}
	if l, ok := way.(interface{ Limits() string }); ok {
		if text := l.Limits(); text != "" {
			lines = append(lines, text)
		}
	}
	lines = append(lines, s.dumpLimits()...)
	if text := s.ForeignText(); text != "" {
		lines = append(lines, text)
	}
	if l, ok := s.live.(interface{ Lifeline() string }); ok {
		if text := l.Lifeline(); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}

func (s *Session) introduction(ctx context.Context) []string {
	what := s.spec.String()
	if s.opt.Image != "" {
		what = strings.TrimSuffix(filepath.Base(s.opt.Image), ".dbg")
	}
	line := what
	if s.kernel != nil {
		line += " · " + s.kernel.Name() + " " + s.kernel.Version()
	}
	line += " · " + s.arch.Name
	if len(s.cpus) > 0 {
		line += ", " + plural(len(s.cpus), "CPU")
	}
	if s.kernel != nil {
		if up, err := s.kernel.Uptime(ctx); err == nil {
			line += fmt.Sprintf(" · up %.1f s", float64(up.Nanoseconds)/1e9)
		}
	}
	switch {
	case s.image == nil:
		line += " · no image (-e NAME.dbg gives names)"
	case s.warning != "":
		return []string{line, "warning: " + s.warning}
	default:
		line += " · image matches the guest"
		if s.mapping.Slide != 0 {
			line += fmt.Sprintf(" (slide %#x)", s.mapping.Slide)
		}
	}
	if s.image != nil && s.kernel == nil {
		return []string{line, "no threads: " + s.noKernel}
	}
	return append([]string{line}, s.imagesBanner()...)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ImageFacts tells about the image: name and value.
func (s *Session) ImageFacts(ctx context.Context) [][2]string {
	if s.image == nil {
		return [][2]string{{"image", "none"}}
	}
	out := [][2]string{
		{"file", s.opt.Image},
		{"arch", s.arch.Name},
		{"content hash", s.image.ContentHash()},
		{"build id", orNone(s.image.BuildID())},
		{"slide", fmt.Sprintf("%#x", s.mapping.Slide)},
		{"identity", s.identity.String()},
	}
	if text := s.ForeignText(); text != "" {
		out = append(out, [2]string{"breakpoints", text})
	}
	dw := "yes"
	if s.typesErr != nil {
		dw = s.typesErr.Error()
	}
	out = append(out, [2]string{"debug info", dw})
	if s.kernel != nil {
		out = append(out, [2]string{"kernel", s.kernel.Name() + " " + s.kernel.Version()})
	} else {
		out = append(out, [2]string{"kernel", s.noKernel})
	}
	return append(out, s.ImagesText()...)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// TargetFacts tells about the target: name and value.
func (s *Session) TargetFacts() [][2]string {
	out := [][2]string{{"target", s.spec.String()}, {"CPUs", fmt.Sprint(len(s.cpus))}}
	if s.Observing() {
		if d, ok := s.observer.(interface{ Describe() [][2]string }); ok {
			out = append(out, d.Describe()...)
		}
		cost := s.observer.Cost()
		text := fmt.Sprintf("%s, %s, %d of them of all registers", plural(s.past.Stops, "stop"), plural(cost.Commands, "monitor command"), cost.registerReads)
		if cost.Connections > 0 {
			text += ", " + cost.heldText()
		}
		return append(out, [2]string{"cost so far", text})
	}
	if s.live == nil {
		out = append(out, [2]string{"state", "a dump"})
		if s.dump != nil {
			out = append(append(out, [2]string{"format", s.dump.Format()}), s.dumpFacts()...)
			for _, note := range s.dump.Notes() {
				out = append(out, [2]string{"note", note})
			}
		}
		return out
	}
	if r, ok := s.live.(interface {
		FoundRunning() (running, known bool)
	}); ok {
		running, known := r.FoundRunning()
		found := "not known"
		switch {
		case known && running:
			found = "running"
		case known:
			found = "paused"
		}
		out = append(out, [2]string{"found", found})
	}
	if d, ok := s.live.(interface{ Describe() [][2]string }); ok {
		out = append(out, d.Describe()...)
	}
	return out
}
