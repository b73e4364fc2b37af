package dumpfile

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"sort"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Dump is what is to be written.
type Dump struct {
	Arch *arch.Arch
	CPUs []CPU
	// Extents are the memory, by rising physical address, without overlaps.
	Extents []Extent
	// Maps say where memory is mapped; empty for a guest whose virtual addresses
	// are physical ones.
	Maps []Mapping
	Info Info
}

// Extent is a stretch of physical memory.
type Extent struct{ Phys, Size uint64 }

// Mapping is a stretch of virtual memory.
type Mapping struct{ Virt, Phys, Size uint64 }

// Unmapped plus its physical address is where memory appears that is mapped
// nowhere and whose place by physical address is taken.
const Unmapped = 1 << 63

const (
	ehdrSize, phdrSize, shdrSize = 64, 56, 64
	// manyHeaders in e_phnum says that the number is in the first section header.
	manyHeaders = 0xffff
	// MaxLoads bounds the pieces of a dump, which is what readers take.
	MaxLoads = 60_000
)

// load is a program header of memory; offset is within the content.
type load struct {
	virt, phys, size uint64
	offset           uint64
}

// loads lays extents out: each piece at each place it is mapped at.
func (d *Dump) loads() []load {
	var out []load
	offset := uint64(0)
	maps := append([]Mapping{}, d.Maps...)
	sort.Slice(maps, func(i, k int) bool { return maps[i].Phys < maps[k].Phys })
	taken := func(virt, size uint64) bool {
		for _, m := range maps {
			if virt <= m.Virt+(m.Size-1) && virt+(size-1) >= m.Virt {
				return true
			}
		}
		return false
	}
	longest := uint64(0)
	for _, m := range maps {
		longest = max(longest, m.Size)
	}
	for _, e := range d.Extents {
		// The mappings that may reach into the extent: none before begins more than
		// the longest below it.
		i := 0
		if e.Phys >= longest {
			i = sort.Search(len(maps), func(i int) bool { return maps[i].Phys > e.Phys-longest })
		}
		last := e.Phys + (e.Size - 1)
		covered := e.Phys // mapped up to here, as far as maps lie in a row
		bare := func(from, to uint64) {
			if from >= to {
				return
			}
			virt := from
			if len(maps) > 0 && taken(from, to-from) {
				virt = Unmapped + from
			}
			out = append(out, load{virt: virt, phys: from, size: to - from, offset: offset + (from - e.Phys)})
		}
		for ; i < len(maps) && maps[i].Phys <= last; i++ {
			m := maps[i]
			from, to := max(m.Phys, e.Phys), min(m.Phys+(m.Size-1), last)
			if from > to {
				continue
			}
			bare(covered, from)
			out = append(out, load{virt: m.Virt + (from - m.Phys), phys: from, size: to - from + 1, offset: offset + (from - e.Phys)})
			covered = max(covered, to+1)
		}
		if covered <= last {
			bare(covered, last+1)
		}
		offset += e.Size
	}
	return out
}

// Write writes the dump and returns its size. read fills p with the memory at a
// physical address, all of which lies in one extent; it is called for all of
// them in order.
func (d *Dump) Write(ctx context.Context, w io.Writer, read func(ctx context.Context, p []byte, phys uint64) error) (int64, error) {
	notes, err := d.notes()
	if err != nil {
		return 0, err
	}
	loads := d.loads()
	if len(loads) > MaxLoads {
		return 0, fmt.Errorf("the dump would have %d pieces, more than the %d that readers take", len(loads), MaxLoads)
	}
	head := d.header(loads, notes)
	n, err := w.Write(head)
	total := int64(n)
	if err != nil {
		return total, err
	}
	const step = 1 << 20
	buf := make([]byte, step)
	for _, e := range d.Extents {
		for off := uint64(0); off < e.Size; {
			if err := ctx.Err(); err != nil {
				return total, err
			}
			p := buf[:min(step, e.Size-off)]
			if err := read(ctx, p, e.Phys+off); err != nil {
				return total, err
			}
			n, err := w.Write(p)
			total += int64(n)
			if err != nil {
				return total, err
			}
			off += uint64(len(p))
		}
	}
	return total, nil
}

// header is all that comes before the content.
func (d *Dump) header(loads []load, notes []byte) []byte {
	le := binary.LittleEndian
	count := len(loads) + 1
	machine := elf.EM_X86_64
	if d.Arch == arch.ARM64 {
		machine = elf.EM_AARCH64
	}
	sections := 0
	phnum := count
	if count >= manyHeaders {
		sections, phnum = 1, manyHeaders
	}
	noteAt := ehdrSize + sections*shdrSize + count*phdrSize
	content := (noteAt + len(notes) + 4095) &^ 4095
	b := make([]byte, 0, content)
	b = append(b, elf.ELFMAG...)
	b = append(b, byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT), 0)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint16(b, uint16(elf.ET_CORE))
	b = le.AppendUint16(b, uint16(machine))
	b = le.AppendUint32(b, uint32(elf.EV_CURRENT))
	b = le.AppendUint64(b, 0) // entry
	b = le.AppendUint64(b, uint64(ehdrSize+sections*shdrSize))
	b = le.AppendUint64(b, uint64(sections*ehdrSize)) // 0 without sections
	b = le.AppendUint32(b, 0)
	for _, v := range []int{ehdrSize, phdrSize, phnum, sections * shdrSize, sections, 0} {
		b = le.AppendUint16(b, uint16(v))
	}
	if sections == 1 {
		b = append(b, make([]byte, 44)...)
		b = le.AppendUint32(b, uint32(count)) // sh_info
		b = append(b, make([]byte, 16)...)
	}
	header := func(typ elf.ProgType, flags elf.ProgFlag, offset, virt, phys, size uint64) {
		b = le.AppendUint32(b, uint32(typ))
		b = le.AppendUint32(b, uint32(flags))
		for _, v := range []uint64{offset, virt, phys, size, size, 0} {
			b = le.AppendUint64(b, v)
		}
	}
	header(elf.PT_NOTE, 0, uint64(noteAt), 0, 0, uint64(len(notes)))
	for _, l := range loads {
		header(elf.PT_LOAD, elf.PF_R|elf.PF_W|elf.PF_X, uint64(content)+l.offset, l.virt, l.phys, l.size)
	}
	b = append(b, notes...)
	return append(b, make([]byte, content-len(b))...)
}
