//go:build linux

package livevm

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/guestram"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// errNoTables says that nothing tells how virtual addresses are translated.
var errNoTables = errors.New("the guest's page tables are not known: without an image (-e) they come from a monitor's registers, which x86 alone shows")

// findTables finds the page tables without registers: those of the image that
// map the image's bytes to where they are, else none at all.
func (m *Machine) findTables(ctx context.Context) error {
	if m.img == nil {
		return errNoTables
	}
	if !m.known {
		at, _, err := m.ram.Find(ctx, m.img.Probes, 0)
		if err != nil {
			return err
		}
		m.found, m.known = at, true
	}
	slide := m.found - m.img.Probes[0].Addr
	for _, t := range m.img.Tables {
		for _, root := range mmu.RootsAt(m.arch, t+slide) {
			for _, shift := range []uint64{0, slide} {
				n, err := m.maps(ctx, root, shift)
				if err != nil {
					return err
				}
				if n == len(m.img.Probes) {
					m.space, m.fixed = mmu.Virtual(m.ram, root), true
					m.how = fmt.Sprintf("the image's at %#x, which map its bytes to where they are on %d pages", t+slide, n)
					return nil
				}
			}
		}
	}
	m.space, m.fixed = mmu.Virtual(m.ram, mmu.Root{}), true
	m.how = "virtual addresses are physical ones: the image's bytes lie where it is linked"
	if slide != 0 {
		m.how = fmt.Sprintf("virtual addresses are taken as physical ones: the image's bytes lie %#x above where it is linked", slide)
	}
	return nil
}

// maps counts the probes that root maps to where they were found, taking the
// image to run shift above its link address.
func (m *Machine) maps(ctx context.Context, root mmu.Root, shift uint64) (int, error) {
	n := 0
	for _, p := range m.img.Probes {
		page, err := root.Translate(ctx, m.ram, p.Addr+shift)
		var hole *mmu.NotMappedError
		switch {
		case err == nil && page.Phys+(p.Addr+shift-page.Virt) == m.found+(p.Addr-m.img.Probes[0].Addr):
			n++
		case err == nil, errors.As(err, &hole), isFault(err):
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}

// search finds guest memory without a monitor.
func (m *Machine) search(ctx context.Context, access guestram.Options) error {
	if m.img == nil {
		return fmt.Errorf("%s: %w", m.noMonitor, ErrNeedImage)
	}
	f, err := guestram.Search(ctx, m.proc, m.img.Probes, m.shape())
	if err != nil {
		return err
	}
	m.found, m.known = f.Phys, true
	m.ram, err = guestram.Open(m.proc, f.Regions, access)
	return err
}

// shape is what the machine's physical memory looks like: hw/i386/pc_piix.c,
// pc_q35.c and hw/arm/virt.c of QEMU, src/vmm/src/arch of Firecracker.
func (m *Machine) shape() guestram.SearchOptions {
	// An arm64 Image may be loaded elsewhere whatever its ELF file says.
	o := guestram.SearchOptions{Relocatable: m.img.Relocatable || m.img.Arch == arch.ARM64}
	fc := m.info.Kind == "firecracker"
	switch {
	case m.img.Arch == arch.ARM64 && fc:
		o.RAMBase = 0x8000_0000
	case m.img.Arch == arch.ARM64:
		o.RAMBase = 0x4000_0000
	case fc:
		o.Gap, o.Above = 0xd000_0000, 1<<32
	default:
		// Of the machine types only the gap differs: i440FX has it from 3 GiB (or
		// 3.5 GiB), q35 and microvm from 2 GiB (or 2.75 GiB).
		o.Gap, o.Above = 0xc000_0000, 1<<32
		if size := m.info.MemoryMiB << 20; size != 0 && size < 0xe000_0000 {
			o.Gap = 0xe000_0000
		}
		if machine := m.machineType(); machine == "q35" || machine == "microvm" {
			o.Gap = 0x8000_0000
			if size := m.info.MemoryMiB << 20; size != 0 && size < 0xb000_0000 {
				o.Gap = 0xb000_0000
			}
		}
	}
	return o
}

// Unrooted reports whether the page tables are only those the image names, which
// the kernel may have left for others since it booted.
func (m *Machine) Unrooted() bool { return m.fixed }

// UseFound translates by page tables that were found elsewhere; how tells where.
func (m *Machine) UseFound(root mmu.Root, how string) {
	m.space, m.fixed, m.how = mmu.Virtual(m.ram, root), true, how
}

// Root returns the page tables in use; ok is false where they are not known.
func (m *Machine) Root(ctx context.Context) (root mmu.Root, ok bool) {
	s, err := m.virtual(ctx)
	if err != nil {
		return mmu.Root{}, false
	}
	return s.Root(), true
}
