package ukdbg

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// unrooted is a target that may not tell which page tables are in use: a dump
// without registers, or a running guest of which the monitor shows none (arm64).
type unrooted interface {
	Physical() target.Memory
	Unrooted() bool
	// UseFound has the target use page tables that were found; how tells where.
	UseFound(root mmu.Root, how string)
}

// findTables finds the page tables of a target that does not tell them, once the
// image was found in it: those the kernel says it uses, or the image's own. They
// count if they map the image to where it lies. Where none does what was taken
// before stays: for a dump that virtual addresses are physical ones, which its notes
// tell.
func (s *Session) findTables(ctx context.Context) error {
	var t unrooted
	if s.dump != nil {
		t = s.dump
	} else if t, _ = s.observer.(unrooted); t == nil {
		return nil
	}
	if s.image == nil || !s.identity.Match || s.isLinux || !t.Unrooted() {
		return nil
	}
	phys := t.Physical()
	type table struct {
		phys uint64
		what string
	}
	var tables []table
	if at, ok := unikraft.ActiveTable(ctx, s.kernelImage, phys, s.mapping.Slide); ok {
		tables = append(tables, table{at, "those the kernel names (pg_active_pt)"})
	}
	for _, at := range unikraft.PageTables(s.kernelImage) {
		if s.dump == nil {
			break // a running guest's were looked at before its first virtual address was read
		}
		name, _, _ := s.kernelImage.SymbolAt(at)
		tables = append(tables, table{s.mapping.Run(at), "the image's (" + name + ")"})
	}
	for _, table := range tables {
		for _, root := range mmu.RootsAt(s.arch, table.phys) {
			n, err := s.mapsImage(ctx, phys, root)
			if err != nil {
				return err
			}
			if n > 0 {
				t.UseFound(root, fmt.Sprintf("%s at %#x, which map the image to where it lies, tried on %d pages", table.what, table.phys, n))
				s.mem.forget()
				return nil
			}
		}
	}
	return nil
}

// imageSamples is how many pages of each read-only section must be mapped
// where they lie.
const imageSamples = 16

// mapsImage counts the pages of the image that root maps to where they were
// found, at their run-time address; 0 if it maps one elsewhere or not at all.
func (s *Session) mapsImage(ctx context.Context, phys target.Memory, root mmu.Root) (n int, err error) {
	for _, sec := range s.image.Sections() {
		if !sec.ReadOnly() || sec.Size == 0 {
			continue
		}
		for i := range uint64(imageSamples) {
			at := s.mapping.Run(sec.Addr + i*(sec.Size-1)/(imageSamples-1))
			page, err := root.Translate(ctx, phys, at)
			var unmapped *mmu.NotMappedError
			var hole *target.FaultError
			switch {
			case err == nil && page.Phys+(at-page.Virt) == at:
				n++
			case err == nil, errors.As(err, &unmapped), errors.As(err, &hole):
				return 0, nil
			default:
				return 0, err
			}
		}
	}
	return n, nil
}
