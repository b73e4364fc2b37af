//go:build linux

package livevm

import (
	"bytes"
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// Patch is a breakpoint of somebody's in the guest's text: Orig is what belongs to
// virtual address Addr. Under KVM a stub writes the instruction into the guest's
// memory, and that is what is read there while the guest runs.
type Patch struct {
	Addr uint64
	Orig []byte
}

// patchedAt is a Patch and where it is to be looked for.
type patchedAt struct {
	addr uint64
	orig []byte
}

// patches are those of this moment, by virtual and by physical address.
type patches struct {
	known          bool
	virtual, plain []patchedAt
}

// patched finds out what breakpoints others have, once a moment.
func (m *Machine) patched(ctx context.Context) *patches {
	if m.others.known || m.patches == nil || m.arch == nil {
		return &m.others
	}
	m.others = patches{known: true}
	for _, p := range m.patches() {
		if len(p.Orig) != len(m.arch.Breakpoint) {
			continue
		}
		m.others.virtual = append(m.others.virtual, patchedAt{p.Addr, p.Orig})
		if s, err := m.virtual(ctx); err == nil {
			// One that cannot be translated is not in the memory that can be read.
			if page, err := s.Root().Translate(ctx, m.ram, p.Addr); err == nil {
				m.others.plain = append(m.others.plain, patchedAt{page.Phys + p.Addr - page.Virt, p.Orig})
			}
		}
	}
	return &m.others
}

// unpatch puts what belongs there in the place of breakpoints in p, read at addr.
// Where the whole instruction was not read nothing is done.
func (m *Machine) unpatch(p []byte, addr uint64, list []patchedAt) {
	for _, b := range list {
		if off := b.addr - addr; b.addr >= addr && off < uint64(len(p)) && uint64(len(p))-off >= uint64(len(b.orig)) {
			if at := p[off:][:len(b.orig)]; bytes.Equal(at, m.arch.Breakpoint) {
				copy(at, b.orig)
			}
		}
	}
}

func (m *Machine) unpatchAll(ranges []target.Range, list []patchedAt) {
	for i := range ranges {
		if len(list) > 0 && ranges[i].N > 0 {
			m.unpatch(ranges[i].Data[:min(ranges[i].N, len(ranges[i].Data))], ranges[i].Addr, list)
		}
	}
}

// physical is guest memory by physical address, without others' breakpoints.
type physical struct{ m *Machine }

func (p physical) ReadMemory(ctx context.Context, b []byte, addr uint64) (int, error) {
	r := []target.Range{{Addr: addr, Data: b}}
	if err := p.ReadMany(ctx, r); err != nil {
		return r[0].N, err
	}
	return r[0].N, r[0].Err
}

func (p physical) ReadMany(ctx context.Context, ranges []target.Range) error {
	err := p.m.ram.ReadMany(ctx, ranges)
	p.m.unpatchAll(ranges, p.m.patched(ctx).plain)
	return err
}
