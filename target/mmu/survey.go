package mmu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// Table is one page table in use.
type Table struct {
	// Phys is its physical address, Size its size in bytes.
	Phys, Size uint64
	// Virt is the first virtual address it translates.
	Virt uint64
	// Level is the architecture's name of the level ("PML4", "level 1").
	Level string
}

// Mapping is a run of virtual memory that lies in one piece of physical memory.
type Mapping struct{ Virt, Phys, Size uint64 }

// maxSurvey bounds the tables a survey follows: 64 MiB of them map 32 GiB by
// 4 KiB pages. A table that is met twice at one level, as hostile ones may be, is
// followed once for each place and counts each time.
const (
	maxSurvey = 16 << 10
	// maxMappings bounds the runs of memory they map.
	maxMappings = 1 << 20
)

// ErrSurvey says that there are more tables than a survey follows; what it
// returns with it is the beginning.
var ErrSurvey = errors.New("more page tables than are followed")

// Survey visits every page table of an address space and returns the tables and
// what they map, by rising virtual address, runs joined. A table that cannot be
// read maps nothing. Identity has no tables and no mappings of its own.
func (r Root) Survey(ctx context.Context, phys target.Memory) ([]Table, []Mapping, error) {
	s := survey{r: r, phys: phys}
	var err error
	switch r.Format {
	case Identity:
		return nil, nil, nil
	case X86Paging:
		err = s.x86(ctx, r.low.table, (r.low.bits-12)/9, 0)
	case ARM64Stage1:
		for i, h := range []half{r.low, r.high} {
			if h.bits == 0 || err != nil {
				continue
			}
			base := uint64(0)
			if i == 1 {
				base = ^uint64(0) << h.bits
			}
			err = s.arm64(ctx, h, base)
		}
	default:
		err = fmt.Errorf("page table format %d is not known", r.Format)
	}
	return s.tables, s.maps, err
}

type survey struct {
	r      Root
	phys   target.Memory
	tables []Table
	maps   []Mapping
}

// read reads a table of n entries. What cannot be read is zero: not present.
func (s *survey) read(ctx context.Context, t Table) ([]byte, error) {
	if len(s.tables) >= maxSurvey || len(s.maps) > maxMappings {
		return nil, ErrSurvey
	}
	b := make([]byte, t.Size)
	n, err := s.phys.ReadMemory(ctx, b, t.Phys)
	if err != nil && !isHole(err) {
		return nil, err
	}
	if n > 0 {
		s.tables = append(s.tables, t)
	}
	return b[:n&^7], nil
}

func (s *survey) add(m Mapping) {
	if n := len(s.maps); n > 0 {
		last := &s.maps[n-1]
		if last.Virt+last.Size == m.Virt && last.Phys+last.Size == m.Phys {
			last.Size += m.Size
			return
		}
	}
	s.maps = append(s.maps, m)
}

func (s *survey) x86(ctx context.Context, table uint64, level uint, virt uint64) error {
	b, err := s.read(ctx, Table{Phys: table, Size: 4096, Virt: canonical(virt, s.r.low.bits), Level: x86Levels[level]})
	if err != nil {
		return err
	}
	shift := 12 + 9*(level-1)
	for i := range uint64(len(b) / 8) {
		e := binary.LittleEndian.Uint64(b[8*i:])
		at := virt + i<<shift
		switch {
		case e&x86Present == 0, level > 3 && e&x86Large != 0:
		case level == 1 || e&x86Large != 0:
			size := uint64(1) << shift
			s.add(Mapping{Virt: canonical(at, s.r.low.bits), Phys: e & x86Addr &^ (size - 1), Size: size})
		default:
			if err := s.x86(ctx, e&x86Addr, level-1, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// canonical repeats the highest translated bit.
func canonical(va uint64, bits uint) uint64 { return uint64(int64(va<<(64-bits)) >> (64 - bits)) }

func (s *survey) arm64(ctx context.Context, h half, base uint64) error {
	stride := s.r.granule - 3
	depth := (h.bits - s.r.granule + stride - 1) / stride
	shift := s.r.granule + stride*(depth-1)
	width := min(stride, h.bits-shift)
	return s.arm64Table(ctx, h.table&^(1<<(width+3)-1), depth, width, base)
}

func (s *survey) arm64Table(ctx context.Context, table uint64, n, width uint, virt uint64) error {
	b, err := s.read(ctx, Table{Phys: table, Size: 8 << width, Virt: virt, Level: fmt.Sprintf("level %d", 4-n)})
	if err != nil {
		return err
	}
	stride := s.r.granule - 3
	shift := s.r.granule + stride*(n-1)
	for i := range uint64(len(b) / 8) {
		e := binary.LittleEndian.Uint64(b[8*i:])
		at := virt + i<<shift
		page, block := n == 1, n == 2 || n == 3 && s.r.granule != 14
		switch {
		case e&armValid == 0:
		case page == (e&armTable != 0) && (page || block):
			size := uint64(1) << shift
			s.add(Mapping{Virt: at, Phys: s.r.outAddr(e) &^ (size - 1), Size: size})
		case !page && e&armTable != 0:
			if err := s.arm64Table(ctx, s.r.outAddr(e), n-1, stride, at); err != nil {
				return err
			}
		}
	}
	return nil
}
