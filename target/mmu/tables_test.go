package mmu_test

import (
	"context"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target"
)

// ram is physical memory that exists where it was written.
type ram map[uint64]byte

func (m ram) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	for i := range p {
		b, ok := m[addr+uint64(i)]
		if !ok {
			return i, &target.FaultError{Addr: addr + uint64(i), Why: "no RAM there"}
		}
		p[i] = b
	}
	return len(p), nil
}

func (m ram) word(addr, v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	for i, c := range b {
		m[addr+uint64(i)] = c
	}
}

func (m ram) getWord(addr uint64) uint64 {
	var b [8]byte
	for i := range b {
		b[i] = m[addr+uint64(i)]
	}
	return binary.LittleEndian.Uint64(b[:])
}

// tables builds page tables the long way round: by shifts written out for each
// format, from the manuals' figures, so that it shares nothing with the walker.
type tables struct {
	ram    ram
	next   uint64
	shifts []uint // of each level's index, top first
	width  []uint // of each level's index
	arm    bool
	page   uint64
}

func newTables(arm bool, page uint64, shifts, width []uint) *tables {
	t := &tables{ram: ram{}, next: 0x40_0000, shifts: shifts, width: width, arm: arm, page: page}
	t.table(width[0])
	return t
}

const topTable = 0x40_0000

func (t *tables) table(width uint) uint64 {
	addr := t.next
	t.next += max(t.page, 8<<width)
	for i := range uint64(1) << width {
		t.ram.word(addr+8*i, 0)
	}
	return addr
}

// put maps va to pa by the entry at the given level with the given attributes.
// A wide pa of a 64 KiB granule is folded as the format wants.
func (t *tables) put(va, pa uint64, level int, attrs, tableAttrs uint64) {
	table := uint64(topTable)
	for l := 0; ; l++ {
		at := table + 8*(va>>t.shifts[l]&(1<<t.width[l]-1))
		if l == level {
			t.ram.word(at, pa|attrs)
			return
		}
		e := t.ram.getWord(at)
		if e == 0 {
			e = t.table(t.width[l+1])
			if t.arm {
				e |= 3 | tableAttrs
			} else {
				e |= 1 | tableAttrs
			}
			t.ram.word(at, e)
		}
		table = e & 0x0000_ffff_ffff_f000 // table addresses here are small
	}
}
